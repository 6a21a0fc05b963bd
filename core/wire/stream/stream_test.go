package stream

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
)

func refusal() *core.Refusal {
	return &core.Refusal{Code: "busy", Message: "later", Retryable: true, After: time.Second, Outcome: core.OutcomeUnknown}
}

func receipt() core.Receipt {
	return core.Receipt{Sink: "out", Event: 2, EventID: "e", ID: "7", Receivers: -1, Detail: []byte(`{"a":1}`), Err: refusal()}
}

func protoRefusal() *bridgev1.Refusal {
	return &bridgev1.Refusal{Code: "busy", Message: "later", Retryable: true, After: int64(time.Second), Outcome: bridgev1.Outcome_OUTCOME_UNKNOWN}
}

func protoReceipt() *bridgev1.Receipt {
	return &bridgev1.Receipt{Sink: "out", Event: 2, EventId: "e", Id: "7", Receivers: -1, Detail: []byte(`{"a":1}`), Error: protoRefusal()}
}

// What is written by hand, generated code reads; and the other way.
func TestSameMessagesAsGeneratedCode(t *testing.T) {
	t.Run("publications", func(t *testing.T) {
		p := core.Publication{Ack: core.AckAll, NeedID: true, EventIDs: true, Events: []core.Event{{Topic: "a"}, {Topic: "b", Data: make([]byte, 5000)}}}
		ours := AppendPublication(AppendPublication(nil, 1, &p), 2, &core.Publication{})
		var got bridgev1.PublicationBatch
		if err := proto.Unmarshal(ours, &got); err != nil {
			t.Fatal(err)
		}
		want := &bridgev1.PublicationBatch{Publications: []*bridgev1.Publication{
			{Number: 1, Ack: bridgev1.Ack_ACK_ALL, NeedId: true, EventIds: true, Events: []*bridgev1.Event{{Topic: "a"}, {Topic: "b", Data: make([]byte, 5000)}}},
			{Number: 2},
		}}
		if !proto.Equal(want, &got) {
			t.Errorf("generated code reads %v", &got)
		}
		theirs, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for _, encoded := range [][]byte{ours, theirs} {
			var read Publications
			if err := read.Parse(encoded); err != nil || read.First != 1 || len(read.Batch) != 2 || len(read.Batch[1].Frames) != 0 {
				t.Fatalf("%+v %v", read, err)
			}
			if p := read.Batch[0]; p.Ack != core.AckAll || !p.NeedID || !p.EventIDs || len(p.Frames) != 2 || p.Frames[1].Decode().Topic != "b" || p.Refusal != nil {
				t.Errorf("%+v", p)
			}
		}
	})
	t.Run("results", func(t *testing.T) {
		ours := AppendResult(nil, 5, bus.Result{Receipts: []core.Receipt{receipt()}, Err: refusal()})
		ours = AppendResultTrailer(ours, 9, core.AckFirst)
		want := &bridgev1.ResultBatch{Through: 9, Ack: bridgev1.Ack_ACK_FIRST, Results: []*bridgev1.Result{
			{Number: 5, Receipts: []*bridgev1.Receipt{protoReceipt()}, Error: protoRefusal()},
		}}
		theirs := check(t, ours, &bridgev1.ResultBatch{}, want)
		for _, encoded := range [][]byte{ours, theirs} {
			got, err := ParseResults(encoded)
			want := Results{Through: 9, Ack: core.AckFirst, Single: []NumberedResult{{5, bus.Result{Receipts: []core.Receipt{receipt()}, Err: refusal()}}}}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		}
	})
	t.Run("receipts", func(t *testing.T) {
		r := receipt()
		ours := AppendReceiptTrailer(AppendNumberedReceipt(nil, 3, &r), 4)
		want := &bridgev1.ReceiptBatch{Through: 4, Receipts: []*bridgev1.NumberedReceipt{{Number: 3, Receipt: protoReceipt()}}}
		theirs := check(t, ours, &bridgev1.ReceiptBatch{}, want)
		for _, encoded := range [][]byte{ours, theirs} {
			through, err := ParseReceipts(encoded, func(n uint64, got core.Receipt) {
				if n != 3 || !cmp.Equal(got, r) {
					t.Errorf("%d %+v", n, got)
				}
			})
			if err != nil || through != 4 {
				t.Error(through, err)
			}
		}
	})
	t.Run("events", func(t *testing.T) {
		encoded, err := proto.Marshal(&bridgev1.DeliverBatch{First: 8, Events: []*bridgev1.Event{{Topic: "a"}, {Topic: "b", Data: []byte("x")}}})
		if err != nil {
			t.Fatal(err)
		}
		first, events, err := ParseDeliver(encoded)
		if want := []core.Event{{Topic: "a"}, {Topic: "b", Data: []byte("x")}}; err != nil || first != 8 || cmp.Diff(want, events) != "" {
			t.Errorf("%d %v %v", first, events, err)
		}
	})
}

// check holds ours against what generated code makes of it, and returns theirs.
func check(t *testing.T, ours []byte, got, want proto.Message) []byte {
	t.Helper()
	if err := proto.Unmarshal(ours, got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(want, got) {
		t.Errorf("generated code reads %v, want %v", got, want)
	}
	theirs, err := proto.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	return theirs
}

func FuzzParse(f *testing.F) {
	r := receipt()
	f.Add(AppendPublication(nil, 1, &core.Publication{Events: []core.Event{{Topic: "t"}}}))
	f.Add(AppendResult(nil, 5, bus.Result{Receipts: []core.Receipt{r}, Err: refusal()}))
	f.Add(AppendNumberedReceipt(nil, 3, &r))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = new(Publications).Parse(b)
		_, _ = ParseResults(b)
		_, _ = ParseReceipts(b, func(uint64, core.Receipt) {})
		_, _, _ = ParseDeliver(b)
	})
}

func TestConversions(t *testing.T) {
	call := core.Call{Op: "o", Space: "s", Topic: "t", Params: []byte(`1`)}
	if got := CallFromProto(CallToProto(call)); !cmp.Equal(call, got) {
		t.Errorf("%+v", got)
	}
	answer := core.Answer{Sink: "s", None: true, Data: []byte(`1`), Err: refusal()}
	if got := AnswerFromProto(AnswerToProto(answer)); !cmp.Equal(answer, got) {
		t.Errorf("%+v", got)
	}
	if got := FromStatus(ToStatus(fmt.Errorf("doing: %w", refusal()))); !cmp.Equal(error(refusal()), got) {
		t.Errorf("%v", got)
	}
	if got := FromStatus(ToStatus(fmt.Errorf("plain"))); got == nil || got.Error() != "plain" {
		t.Errorf("%v", got)
	}
	if ToStatus(nil) != nil || FromStatus(nil) != nil {
		t.Error("nil must stay nil")
	}
}

// Entries leave in order, in messages of bounded size, and the trailer stands in
// the last.
func TestOutbox(t *testing.T) {
	o := NewOutbox()
	entry := func(n, size int) []byte { return bytes.Repeat([]byte{byte(n)}, size) }
	var want []byte
	for n := range 1000 {
		size := 1 + n%7
		if n == 500 {
			size = 3 * batchBytes
		}
		e := entry(n, size)
		want = append(want, e...)
		o.Add(size, func(b []byte) []byte { return append(b, e...) })
	}
	ctx, cancel := context.WithCancel(context.Background())
	var got []byte
	messages := 0
	err := o.Write(ctx, func(b []byte) []byte { return append(b, "end"...) }, func(m *Message) error {
		messages++
		got = append(got, *m.outgoing...)
		if bytes.HasSuffix(*m.outgoing, []byte("end")) {
			cancel()
		}
		m.pool.Put(m.outgoing)
		return nil
	})
	if err != context.Canceled {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(got, append(want, "end"...)) {
		t.Error("entries were lost or changed their order")
	}
	if messages < 5 || messages > 7 {
		t.Errorf("%d messages, want a new one after 256 entries and around the large one", messages)
	}
}
