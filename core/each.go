package core

import (
	"context"
	"sync"
)

// Each makes a [Sink] of a plain function that handles one event and returns its
// receipt. Events of one (Space, Topic) are handled in order, one at a time;
// different topics at the same time, on at most concurrency goroutines. deliver
// gets the context of Deliver, which ends when the instance is stopped.
//
// The sink starts goroutines as events come and they end when there is nothing
// left to do, so it needs no Stop; an instance that must not be left behind by
// them waits for the receipts that it owes.
func Each(concurrency int, deliver func(context.Context, Event) Receipt) Sink {
	return &each{
		deliver: deliver,
		places:  make(chan struct{}, max(concurrency, 1)),
		lanes:   make(map[lane]*laneQueue),
	}
}

// lane is what order is kept in.
type lane struct{ space, topic string }

// each runs one goroutine per lane that has events, each holding a place.
type each struct {
	deliver func(context.Context, Event) Receipt
	// places is a semaphore: as many tokens as goroutines may run.
	places chan struct{}

	mu    sync.Mutex
	lanes map[lane]*laneQueue
}

// laneQueue holds the events of a lane that wait for its goroutine.
type laneQueue struct{ waiting []laneItem }

type laneItem struct {
	batch Batch
	index int
}

func (s *each) Deliver(ctx context.Context, batch Batch) error {
	for i := range batch.Events {
		key := lane{batch.Events[i].Space, batch.Events[i].Topic}
		if s.join(key, laneItem{batch, i}) {
			continue
		}
		select {
		case s.places <- struct{}{}:
		case <-ctx.Done():
			return s.abandon(key, ctx.Err())
		}
		go s.run(ctx, key)
	}
	return nil
}

// join appends the item to its lane and reports whether a goroutine already
// serves it; if not, the caller starts one.
func (s *each) join(key lane, item laneItem) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue, running := s.lanes[key]
	if !running {
		queue = &laneQueue{}
		s.lanes[key] = queue
	}
	queue.waiting = append(queue.waiting, item)
	return running
}

// abandon takes back a lane whose goroutine was never started. Its only item is
// the caller's, because batches come one after the other.
func (s *each) abandon(key lane, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lanes, key)
	return err
}

func (s *each) run(ctx context.Context, key lane) {
	defer func() { <-s.places }()
	for {
		items := s.take(key)
		if items == nil {
			return
		}
		for _, item := range items {
			item.batch.Answer(item.index, s.deliver(ctx, item.batch.Events[item.index]))
		}
	}
}

// take returns what waits in the lane, or closes it when there is nothing.
func (s *each) take(key lane) []laneItem {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.lanes[key]
	if len(queue.waiting) == 0 {
		delete(s.lanes, key)
		return nil
	}
	items := queue.waiting
	queue.waiting = nil
	return items
}
