package crossbar

import (
	"fmt"
	"testing"
)

func TestSequence(t *testing.T) {
	const huge = "99999999999999999999999"
	s := newSequences()
	for _, step := range []struct {
		seq  string
		free bool
	}{
		{"5", true}, {"5", false}, {"6", true}, {"4", true}, {"4", false}, {"-1", true}, {"+7", true}, {"7", false}, {"007", false},
		{"1500", true}, {"501", true}, {"500", false}, {"501", false}, {"1499", true}, {"1500", false}, {"6", false},
		{"1501", true}, {"502", true}, {"501", false}, {"1499", false},
		{huge, true}, {huge, false}, {"1502", false}, {"99999999999999999999998", true}, {"99999999999999999999000", true}, {"99999999999999999998999", false},
		{"x", false},
	} {
		if free := s.use("k", step.seq); free != step.free {
			t.Errorf("seq %s: free %v", step.seq, free)
		}
	}
	if !s.use("other", "5") {
		t.Error("keys share their sequences")
	}
}

func TestSequenceGivenBack(t *testing.T) {
	s := newSequences()
	for _, seq := range []string{"1", "5", "3"} {
		if !s.use("k", seq) {
			t.Fatal(seq)
		}
	}
	for _, seq := range []string{"5", "3"} {
		s.giveBack("k", seq)
		if !s.use("k", seq) || s.use("k", seq) {
			t.Errorf("%s was not given back once", seq)
		}
	}
	s.giveBack("k", "5000")
	s.giveBack("k", "x")
	s.giveBack("stranger", "1")
	if s.use("k", "5") {
		t.Error("a foreign seq was given back")
	}
}

func TestStrictSeq(t *testing.T) {
	r := start(t, nil, signing, `{"strict_seq":true}`)
	r.post(signed(2000, hello), hello).id(t, 202)
	r.post(signed(1001, hello), hello).id(t, 202)
	r.post(signed(1000, hello), hello).fault(t, 401)
	other, _ := Sign("secret", Parameters{Key: "foobar", Timestamp: vectorTime, Seq: "2000", Nonce: "43"}, []byte(hello))
	r.post(other, hello).fault(t, 401)
	r.published(2)
	if n := r.metric("bridge_crossbar_requests_total", "code", "sequence", "status", "401"); n != 2 {
		t.Errorf("%v counted", n)
	}
	lax := start(t, nil, signing)
	for _, seq := range []int{2000, 1, 1000, 2000} {
		body := fmt.Sprintf(`{"topic":"a","args":[%d]}`, len(lax.events()))
		lax.post(signed(seq, body), body).id(t, 202)
	}
}
