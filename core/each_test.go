package core_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
)

// Events of one topic are handled in order, one at a time; different topics at
// the same time, up to the concurrency.
func TestEachKeepsOrderWithinATopic(t *testing.T) {
	defer goleak.VerifyNone(t)
	const topics, each, concurrency = 20, 200, 4
	var mu sync.Mutex
	next := make(map[string]int)
	var running, most atomic.Int32
	sink := core.Each(concurrency, func(_ context.Context, e core.Event) core.Receipt {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer running.Add(-1)
		mu.Lock()
		defer mu.Unlock()
		if e.Name != fmt.Sprint(next[e.Topic]) {
			t.Errorf("topic %s: event %s came where %d was due", e.Topic, e.Name, next[e.Topic])
		}
		next[e.Topic]++
		return core.Receipt{ID: e.Topic + e.Name}
	})
	var answered sync.WaitGroup
	for n := range each {
		events := make([]core.Event, topics)
		for i := range events {
			events[i] = core.Event{Topic: fmt.Sprint("t", i), Name: fmt.Sprint(n)}
		}
		answered.Add(topics)
		batch := core.NewBatch(events, func(first, count int, r core.Receipt) {
			if count != 1 || r.ID != events[first].Topic+events[first].Name {
				t.Errorf("event %d, %d at a time: receipt %+v", first, count, r)
			}
			answered.Done()
		})
		if err := sink.Deliver(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
	}
	answered.Wait()
	if most.Load() > concurrency {
		t.Errorf("%d ran at a time, want at most %d", most.Load(), concurrency)
	}
}

// A stop while every place is taken gives the batch back.
func TestEachStopsWaitingWithItsContext(t *testing.T) {
	defer goleak.VerifyNone(t)
	release := make(chan struct{})
	sink := core.Each(1, func(context.Context, core.Event) core.Receipt {
		<-release
		return core.Accepted()
	})
	ctx, cancel := context.WithCancel(context.Background())
	var answered sync.WaitGroup
	answered.Add(1)
	none := func(int, int, core.Receipt) { answered.Done() }
	if err := sink.Deliver(ctx, core.NewBatch([]core.Event{{Topic: "a"}}, none)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := sink.Deliver(ctx, core.NewBatch([]core.Event{{Topic: "b"}}, none)); err == nil {
		t.Error("the batch was taken although nothing was free")
	}
	close(release)
	answered.Wait()
}

func TestNames(t *testing.T) {
	for k := core.KindMessage; k.Valid(); k++ {
		if parsed, err := core.ParseKind(k.String()); err != nil || parsed != k {
			t.Errorf("%v: %v, %v", k, parsed, err)
		}
	}
	for a := core.AckRoute; a.Valid(); a++ {
		if parsed, err := core.ParseAck(a.String()); err != nil || parsed != a {
			t.Errorf("%v: %v, %v", a, parsed, err)
		}
	}
	if _, err := core.ParseKind("x"); err == nil {
		t.Error("an unknown kind parses")
	}
	if _, err := core.ParseAck("x"); err == nil {
		t.Error("an unknown ack parses")
	}
}

func TestAsRefusal(t *testing.T) {
	refusal := core.RefuseRetry("busy", 5, "later")
	if core.AsRefusal(fmt.Errorf("doing: %w", refusal)) != refusal {
		t.Error("a wrapped refusal is not found")
	}
	if r := core.AsRefusal(fmt.Errorf("plain")); r.Code != core.CodeInternal || r.Outcome != core.OutcomeUnknown {
		t.Errorf("%+v", r)
	}
	if core.AsRefusal(nil) != nil {
		t.Error("no error became a refusal")
	}
}

func TestCloneSharesNothing(t *testing.T) {
	original := core.Event{
		Topic: "t", Data: []byte("data"), Only: core.Audience{"user": {"1"}}, Except: core.Audience{"role": {"r"}},
		Meta: map[string]string{"k": "v"},
	}
	clone := original.Clone()
	original.Data[0], original.Only["user"][0], original.Except["role"][0], original.Meta["k"] = 'X', "2", "x", "w"
	if string(clone.Data) != "data" || clone.Only["user"][0] != "1" || clone.Except["role"][0] != "r" || clone.Meta["k"] != "v" {
		t.Errorf("%+v", clone)
	}
}
