package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// numbered are events of several channels, numbered per channel.
func numbered(channels, each int) []core.Event {
	var events []core.Event
	for n := range each {
		for c := range channels {
			events = append(events, core.Event{
				Kind: core.KindClient, Topic: fmt.Sprintf("private-%d", c), Name: "client-x", Type: core.TypeJSON, Data: fmt.Appendf(nil, "%d", n),
			})
		}
	}
	return events
}

// inOrder wants that the requests have n events, those of each channel in order.
func inOrder(t *testing.T, receiver *receiver, n int) {
	t.Helper()
	want := make(map[string]int)
	for n > 0 {
		for _, element := range receiver.next(t).events(t) {
			channel := element["channel"].(string)
			if got := element["data"].(string); got != fmt.Sprint(want[channel]) {
				t.Fatalf("channel %s: %s came, want %d", channel, got, want[channel])
			}
			want[channel]++
			n--
		}
	}
	receiver.none(t)
}

func TestOrderOfEachChannel(t *testing.T) {
	for name, more := range map[string]string{"one by one": `{}`, "batched": `{"batch":{"window":"1ms","events":7}}`} {
		t.Run(name, func(t *testing.T) {
			receiver := newReceiver(t)
			r := start(t, receiver.URL, more)
			events := numbered(7, 60)
			answers := r.deliver(events...)
			inOrder(t, receiver, len(events))
			seen := make(map[int]bool)
			for range events {
				a := wait(t, answers)
				if seen[a.index] || a.receipt.Err != nil {
					t.Fatalf("answer %+v", a)
				}
				seen[a.index] = true
			}
		})
	}
}

// Channels do not wait for each other, and no more requests are under way than
// the configuration says.
func TestConcurrency(t *testing.T) {
	receiver := newReceiver(t)
	hold := make(chan struct{})
	receiver.answers(func(http.ResponseWriter, *http.Request) { <-hold })
	r := start(t, receiver.URL, `{"concurrency":3}`)
	delivered := make(chan (<-chan answered), 1)
	go func() { delivered <- r.deliver(numbered(5, 2)...) }()
	for range 3 {
		receiver.next(t)
	}
	receiver.none(t)
	close(hold)
	answers := <-delivered
	for range 10 {
		if a := wait(t, answers); a.receipt.Err != nil {
			t.Errorf("%+v", a)
		}
	}
}

func TestBatch(t *testing.T) {
	apps := `{"key":null,"secret":null,"apps":[{"id":"1","key":"k1","secret":"s1"},{"id":"2","key":"k2","secret":"s2"}]}`
	receiver := newReceiver(t)
	r := start(t, receiver.URL, apps, `{"batch":{"window":"1m","events":4,"bytes":1000}}`)
	event := func(space string, size int) core.Event {
		return core.Event{Kind: core.KindClient, Space: space, Topic: "private-c", Name: "client-x", Type: core.TypeText,
			Time: time.UnixMilli(eventTime), Data: []byte(strings.Repeat("x", size))}
	}
	// Four of each app, mixed: two requests, each of one app.
	var events []core.Event
	for range 4 {
		events = append(events, event("1", 1), event("2", 1))
	}
	receiver.answers(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get(headerKey) == "k2" {
			w.WriteHeader(500)
		}
	})
	message := core.Event{Space: "1", Topic: "c"} // refused, without waiting for the others
	answers := r.deliver(append([]core.Event{message}, events...)...)
	if a := wait(t, answers); a.index != 0 || a.receipt.Err == nil || a.receipt.Err.Code != codeKind {
		t.Errorf("%+v", a)
	}
	keys := make(map[string]int)
	for range 2 {
		h := receiver.next(t)
		key := h.header.Get(headerKey)
		if h.header.Get(headerSignature) != sign("s"+key[1:], h.body) {
			t.Errorf("signature of %s", key)
		}
		keys[key] = len(h.events(t))
	}
	if keys["k1"] != 4 || keys["k2"] != 4 {
		t.Errorf("events by key: %v", keys)
	}
	for range events {
		a := wait(t, answers)
		if fails := a.index%2 == 0; (a.receipt.Err != nil) != fails {
			t.Errorf("%+v", a)
		}
	}
	// The bytes end a request too, and a large event travels alone.
	answers = r.deliver(event("1", 300), event("1", 300), event("1", 300), event("1", 5000), event("1", 900))
	for _, want := range []int{2, 1, 1} {
		if got := len(receiver.next(t).events(t)); got != want {
			t.Errorf("%d events, want %d", got, want)
		}
	}
	for range 4 {
		wait(t, answers)
	}
	receiver.none(t) // the last one waits for its window, and goes out at the stop
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.Stop(ctx)
	if a := wait(t, answers); a.index != 4 || a.receipt.Err == nil || !a.receipt.Err.Retryable {
		t.Errorf("%+v", a)
	}
}

// A new configuration counts for what comes after, and for what waits.
func TestReconfigure(t *testing.T) {
	before, after := newReceiver(t), newReceiver(t)
	r := start(t, before.URL)
	if receipt := r.one(occupied("c")); receipt.Err != nil {
		t.Fatalf("%+v", receipt)
	}
	before.next(t)
	if err := r.Reconfigure(t.Context(), settingsOf(t, after.URL, `{"key":"new","secret":"other","headers":{"X-A":"b"},"timeout":"5s"}`)); err != nil {
		t.Fatal(err)
	}
	if receipt := r.one(occupied("c")); receipt.Err != nil {
		t.Fatalf("%+v", receipt)
	}
	if h := after.next(t); h.header.Get(headerKey) != "new" || h.header.Get("X-A") != "b" || h.header.Get(headerSignature) != sign("other", h.body) {
		t.Errorf("header %v", h.header)
	}
	err := r.Reconfigure(t.Context(), settingsOf(t, after.URL, `{"format":"raw"}`))
	if err == nil || errors.Is(err, core.ErrRestart) {
		t.Errorf("a broken configuration: %v", err)
	}
	if receipt := r.one(occupied("c")); receipt.Err != nil {
		t.Errorf("%+v", receipt)
	}
	after.next(t)
	before.none(t)
}

// The order of each channel survives a change of how requests are made.
func TestReconfigureKeepsOrder(t *testing.T) {
	receiver := newReceiver(t)
	r := start(t, receiver.URL)
	events := numbered(3, 200)
	var changing sync.WaitGroup
	done := make(chan struct{})
	changing.Go(func() {
		defer close(done)
		for n, more := range []string{`{"batch":{"window":"1ms"}}`, `{"concurrency":2}`, `{"batch":{"window":"2ms","events":3}}`, `{}`} {
			if err := r.Reconfigure(context.Background(), settingsOf(t, receiver.URL, more)); err != nil {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
	for len(events) > 0 {
		n := min(10, len(events))
		r.deliver(events[:n]...)
		events = events[n:]
	}
	<-done
	changing.Wait()
	inOrder(t, receiver, 600)
}

// An event that is delivered again is the same bytes with the same signature.
func TestAgain(t *testing.T) {
	receiver := newReceiver(t)
	r := start(t, receiver.URL)
	receiver.answers(status(503))
	if receipt := r.one(occupied("presence-c")); receipt.Err == nil {
		t.Errorf("%+v", receipt)
	}
	receiver.answers(nil)
	if receipt := r.one(occupied("presence-c")); receipt.Err != nil {
		t.Errorf("%+v", receipt)
	}
	first, second := receiver.next(t), receiver.next(t)
	if string(first.body) != string(second.body) || first.header.Get(headerSignature) != second.header.Get(headerSignature) {
		t.Errorf("%s after %s", second.body, first.body)
	}
}

// Stop lets requests under way end, and what waits for them, as long as it may.
func TestStop(t *testing.T) {
	for name, more := range map[string]string{"one by one": `{"concurrency":2}`, "batched": `{"batch":{"window":"1ms","events":2}}`} {
		t.Run(name, func(t *testing.T) {
			receiver := newReceiver(t)
			hold := make(chan struct{})
			receiver.answers(func(http.ResponseWriter, *http.Request) { <-hold })
			r := start(t, receiver.URL, more)
			delivered := make(chan (<-chan answered), 1)
			go func() { delivered <- r.deliver(numbered(1, 6)...) }()
			receiver.next(t)
			stopped := make(chan error, 1)
			go func() { stopped <- r.Stop(t.Context()) }()
			close(hold)
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			answers := <-delivered
			for range 6 {
				if a := wait(t, answers); a.receipt.Err != nil {
					t.Errorf("%+v", a)
				}
			}
			if receipt := r.one(occupied("c")); receipt.Err == nil || receipt.Err.Code != core.CodeNotRunning || !receipt.Err.Retryable {
				t.Errorf("after the stop: %+v", receipt)
			}
		})
	}
}

// Stop without time breaks off what is under way.
func TestStopAtOnce(t *testing.T) {
	receiver := newReceiver(t)
	receiver.answers(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	r := start(t, receiver.URL, `{"concurrency":2}`)
	delivered := make(chan (<-chan answered), 1)
	go func() { delivered <- r.deliver(numbered(3, 2)...) }()
	receiver.next(t)
	receiver.next(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
	answers := <-delivered
	outcomes := make(map[core.Outcome]int)
	for range 6 {
		a := wait(t, answers)
		if a.receipt.Err == nil || !a.receipt.Err.Retryable {
			t.Fatalf("%+v", a)
		}
		outcomes[a.receipt.Err.Outcome]++
	}
	if outcomes[core.OutcomeUnknown] != 2 || outcomes[core.OutcomeNotDone] != 4 {
		t.Errorf("outcomes %v", outcomes)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, raw := range []string{`{}`, `{"url":5}`, `{"url":"http://x","format":"pusher"}`,
		`{"url":"http://x","format":"pusher","key":"k","secret":"s","tls":{"ca":"/does/not/exist"}}`} {
		if _, err := (Adapter{}).Open(t.Context(), "x", json.RawMessage(raw), coretest.NewHost(t)); err == nil {
			t.Errorf("%s is opened", raw)
		}
	}
}
