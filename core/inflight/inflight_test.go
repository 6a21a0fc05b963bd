package inflight

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func size(n int) int { return n }

func add(t *testing.T, w *Window[int], items ...int) uint64 {
	t.Helper()
	var first uint64
	if err := w.Add(context.Background(), items, size, func(n uint64) { first = n }); err != nil {
		t.Fatal(err)
	}
	return first
}

// full reports whether items do not fit now.
func full(w *Window[int], items ...int) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return errors.Is(w.Add(ctx, items, size, func(uint64) {}), context.Canceled)
}

func TestWindowNumbersAndAnswers(t *testing.T) {
	w := NewWindow[int](4, 1000)
	if n := add(t, w, 10, 20); n != 1 {
		t.Fatalf("first number %d", n)
	}
	if n := add(t, w, 30); n != 3 {
		t.Fatalf("third number %d", n)
	}
	if item, ok := w.Answer(2); !ok || item != 20 {
		t.Errorf("%d, %v", item, ok)
	}
	for _, n := range []uint64{0, 2, 4, 99} {
		if _, ok := w.Answer(n); ok {
			t.Errorf("number %d is open", n)
		}
	}
	items, ok := w.AnswerThrough(3, nil)
	if !ok || !slices.Equal(items, []int{10, 30}) {
		t.Errorf("%v, %v", items, ok)
	}
	if _, ok := w.AnswerThrough(4, nil); ok {
		t.Error("a number that was never given out is accepted")
	}
	if n := add(t, w, 40); n != 4 {
		t.Errorf("number %d", n)
	}
}

func TestWindowLimits(t *testing.T) {
	w := NewWindow[int](3, 100)
	add(t, w, 500) // an empty window takes anything
	if !full(w, 1) {
		t.Error("the bytes are exceeded and more fits")
	}
	w.Answer(1)
	add(t, w, 1, 1, 1)
	if !full(w, 1) {
		t.Error("the items are exceeded and more fits")
	}
	w.Answer(3) // one in the middle makes room too
	if full(w, 1) {
		t.Error("there is room")
	}
}

func TestWindowWaitsAndWakes(t *testing.T) {
	w := NewWindow[int](1, 100)
	add(t, w, 1)
	var waiting sync.WaitGroup
	for range 3 {
		waiting.Go(func() { _ = w.Add(context.Background(), []int{1}, size, func(uint64) {}) })
	}
	for n := uint64(1); n <= 4; n++ {
		for {
			if _, ok := w.Answer(n); ok {
				break
			}
		}
	}
	waiting.Wait()
	if err := w.Idle(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestWindowClose(t *testing.T) {
	w := NewWindow[int](2, 100)
	add(t, w, 1, 2)
	blocked := make(chan error, 1)
	go func() { blocked <- w.Add(context.Background(), []int{3}, size, func(uint64) {}) }()
	w.Answer(1)
	if err := <-blocked; err != nil {
		t.Fatal(err)
	}
	go func() { blocked <- w.Add(context.Background(), []int{4, 5}, size, func(uint64) {}) }()
	if items := w.Close(); !slices.Equal(items, []int{2, 3}) {
		t.Errorf("open items %v", items)
	}
	if err := <-blocked; !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
	if items := w.Close(); items != nil {
		t.Errorf("a closed window has items %v", items)
	}
}

// Whatever order answers come in, every item leaves once.
func TestWindowAnyOrder(t *testing.T) {
	w := NewWindow[int](1000, 1<<30)
	answered := make(map[int]int)
	next := 0
	var open []uint64
	for range 20_000 {
		if len(open) < 1000 && rand.IntN(2) == 0 {
			open = append(open, add(t, w, next))
			next++
			continue
		}
		if len(open) == 0 {
			continue
		}
		i := rand.IntN(len(open))
		item, ok := w.Answer(open[i])
		if !ok || item != int(open[i])-1 {
			t.Fatalf("number %d: %d, %v", open[i], item, ok)
		}
		answered[item]++
		open = slices.Delete(open, i, i+1)
	}
	for _, item := range w.Close() {
		answered[item]++
	}
	if len(answered) != next {
		t.Errorf("%d items answered, want %d", len(answered), next)
	}
	for item, times := range answered {
		if times != 1 {
			t.Errorf("item %d was answered %d times", item, times)
		}
	}
}

func TestLedger(t *testing.T) {
	type book struct {
		number uint64
		count  int
		loud   bool
		told   []uint64
		mark   uint64
	}
	for _, test := range []struct {
		name  string
		books []book
	}{
		{"in order", []book{{1, 1, false, nil, 1}, {2, 3, false, nil, 4}}},
		{"loud ones are told", []book{{1, 2, true, []uint64{1, 2}, 2}}},
		{"ahead of an open one", []book{{3, 1, false, []uint64{3}, 0}, {2, 1, false, []uint64{2}, 0}, {1, 1, false, nil, 3}, {4, 1, false, nil, 4}}},
		{"a second answer is no news", []book{{1, 1, false, nil, 1}, {1, 1, true, nil, 1}, {3, 1, true, []uint64{3}, 1}, {3, 1, true, nil, 1}}},
		{"a batch over booked ones", []book{{2, 1, true, []uint64{2}, 0}, {1, 3, true, []uint64{1, 3}, 3}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var l Ledger
			for _, b := range test.books {
				var told []uint64
				l.Book(b.number, b.count, b.loud, func(n uint64) { told = append(told, n) })
				if !slices.Equal(told, b.told) || l.Through() != b.mark {
					t.Errorf("%+v: told %v, mark %d", b, told, l.Through())
				}
			}
		})
	}
}
