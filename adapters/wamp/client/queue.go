package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// item is a publication that waits for the router.
type item struct {
	msg     *wamp.Publish
	size    int
	expires time.Time
	answer  func(session.Outcome, error)
}

// queue holds the publications that are not sent, the oldest first. Any
// goroutine may put, one takes.
type queue struct {
	maxItems, maxBytes int

	mu     sync.Mutex
	items  []item
	bytes  int
	joined bool // there is a session that takes items
	closed bool
	// changed is closed and replaced at every change that somebody may wait
	// for.
	changed chan struct{}
}

func newQueue(maxItems, maxBytes int) *queue {
	return &queue{maxItems: maxItems, maxBytes: maxBytes, changed: make(chan struct{})}
}

// ErrFull is the answer to a publication while too many wait for the router.
var ErrFull = errors.New("too many publications wait for the router")

// ErrStopped is the answer to a publication after the client was stopped.
var ErrStopped = errors.New("the client is stopped")

// put appends an item. While there is a session it waits for room, else it
// returns ErrFull if there is none.
func (q *queue) put(ctx context.Context, it item) error {
	for {
		q.mu.Lock()
		switch {
		case q.closed:
			q.mu.Unlock()
			return ErrStopped
		case len(q.items) == 0 || len(q.items) < q.maxItems && q.bytes+it.size <= q.maxBytes:
			q.items = append(q.items, it)
			q.bytes += it.size
			q.notify()
			q.mu.Unlock()
			return nil
		case !q.joined:
			q.mu.Unlock()
			return ErrFull
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// notify wakes whoever waits. q.mu is held.
func (q *queue) notify() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// take waits for the first item until done is closed or ctx ends.
func (q *queue) take(ctx context.Context, done <-chan struct{}) (item, bool) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			it := q.items[0]
			q.items[0] = item{}
			q.items = q.items[1:]
			q.bytes -= it.size
			q.notify()
			q.mu.Unlock()
			return it, true
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-done:
			return item{}, false
		case <-ctx.Done():
			return item{}, false
		}
	}
}

// putBack puts items in front of all others. They have room whatever the limits:
// they had it before.
func (q *queue) putBack(items []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items = append(items[:len(items):len(items)], q.items...)
	for _, it := range items {
		q.bytes += it.size
	}
	q.notify()
}

// setJoined says whether there is a session that takes items.
func (q *queue) setJoined(joined bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.joined = joined
	q.notify()
}

// expired takes out the items that have waited too long for a session. While
// there is one they wait for their turn.
func (q *queue) expired(now time.Time) []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for !q.joined && n < len(q.items) && now.After(q.items[n].expires) {
		q.bytes -= q.items[n].size
		n++
	}
	expired := q.items[:n:n]
	if n > 0 {
		q.items = q.items[n:]
		q.notify()
	}
	return expired
}

// close lets nothing more in.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.notify()
}

// rest takes out everything.
func (q *queue) rest() []item {
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes = nil, 0
	return items
}
