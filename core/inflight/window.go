package inflight

import (
	"context"
	"errors"
	"sync"
)

// Window numbers items as they are sent, from 1, and holds each until it is
// answered; it lets no more be open than its limits. It is safe for concurrent
// use.
type Window[T any] struct {
	maxItems, maxBytes int

	mu     sync.Mutex
	ring   []slot[T] // its length is a power of two
	head   int       // position of item base+1 in the ring
	count  int       // items in the ring, answered or not
	base   uint64    // every item up to this number is answered
	open   int       // items not answered
	bytes  int       // of the items not answered
	closed bool
	freed  chan struct{} // closed and dropped when room was made; nil if nobody waits
}

type slot[T any] struct {
	item     T
	size     int
	answered bool
}

// NewWindow returns an empty window.
func NewWindow[T any](maxItems, maxBytes int) *Window[T] {
	return &Window[T]{maxItems: maxItems, maxBytes: maxBytes}
}

// ErrClosed is the answer of a window that was closed.
var ErrClosed = errors.New("the stream has ended")

// Add waits until the items fit, books them, and calls then with the number of
// the first, the others following by one. then runs under the window's lock, so
// that what it queues is in the order of numbers; it must not block. The error
// is ErrClosed or ctx's. An empty window takes items of any size.
func (w *Window[T]) Add(ctx context.Context, items []T, size func(T) int, then func(first uint64)) error {
	bytes := 0
	for _, item := range items {
		bytes += size(item)
	}
	if err := w.lockWhenFree(ctx, len(items), bytes); err != nil {
		return err
	}
	defer w.mu.Unlock()
	first := w.base + uint64(w.count) + 1
	for _, item := range items {
		if w.count == len(w.ring) {
			w.grow()
		}
		*w.slot(w.count) = slot[T]{item: item, size: size(item)}
		w.count++
	}
	w.open += len(items)
	w.bytes += bytes
	then(first)
	return nil
}

// lockWhenFree returns with the lock held, unless it returns an error.
func (w *Window[T]) lockWhenFree(ctx context.Context, items, bytes int) error {
	for {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return ErrClosed
		}
		if w.open == 0 || w.open+items <= w.maxItems && w.bytes+bytes <= w.maxBytes {
			return nil
		}
		if w.freed == nil {
			w.freed = make(chan struct{})
		}
		freed := w.freed
		w.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Answer takes the item with that number out of the window. It reports false if
// no such item is open.
func (w *Window[T]) Answer(number uint64) (item T, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	item, ok = w.answer(number)
	w.trim()
	w.release()
	return item, ok
}

// AnswerThrough takes every open item up to that number out of the window,
// appends them to items, and returns it. It reports false if the number was
// never given out.
func (w *Window[T]) AnswerThrough(number uint64, items []T) ([]T, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if number > w.base+uint64(w.count) {
		return items, false
	}
	for w.base < number {
		if s := w.slot(0); !s.answered {
			items = append(items, s.item)
			w.open--
			w.bytes -= s.size
		}
		w.forgetFirst()
	}
	w.trim()
	w.release()
	return items, true
}

// Progress tells how many items are open, and how many were answered so far.
func (w *Window[T]) Progress() (open int, answered uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open, w.base + uint64(w.count-w.open)
}

// Idle waits until nothing is open any more, or ctx ends.
func (w *Window[T]) Idle(ctx context.Context) error {
	if err := w.lockWhenFree(ctx, w.maxItems, w.maxBytes); err != nil {
		return err
	}
	w.mu.Unlock()
	return nil
}

// Close empties the window and returns the items that were open. Waiters leave;
// Add does nothing from now on.
func (w *Window[T]) Close() []T {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	var items []T
	for n := w.base + 1; n <= w.base+uint64(w.count); n++ {
		if s := w.at(n); !s.answered {
			items = append(items, s.item)
		}
	}
	w.ring, w.count, w.open, w.bytes = nil, 0, 0, 0
	w.release()
	return items
}

func (w *Window[T]) at(number uint64) *slot[T] { return w.slot(int(number - w.base - 1)) }

// slot is the nth from the head.
func (w *Window[T]) slot(n int) *slot[T] { return &w.ring[(w.head+n)&(len(w.ring)-1)] }

// forgetFirst moves the head and the base over the first slot.
func (w *Window[T]) forgetFirst() {
	*w.slot(0) = slot[T]{}
	w.head = (w.head + 1) & (len(w.ring) - 1)
	w.count--
	w.base++
}

func (w *Window[T]) answer(number uint64) (item T, ok bool) {
	if number <= w.base || number > w.base+uint64(w.count) {
		return item, false
	}
	s := w.at(number)
	if s.answered {
		return item, false
	}
	item = s.item
	w.open--
	w.bytes -= s.size
	*s = slot[T]{answered: true}
	return item, true
}

// trim moves base over the answered items at the front.
func (w *Window[T]) trim() {
	for w.count > 0 && w.slot(0).answered {
		w.forgetFirst()
	}
}

func (w *Window[T]) release() {
	if w.freed != nil {
		close(w.freed)
		w.freed = nil
	}
}

func (w *Window[T]) grow() {
	ring := make([]slot[T], max(2*len(w.ring), 64))
	for n := range w.count {
		ring[n] = *w.slot(n)
	}
	w.ring, w.head = ring, 0
}
