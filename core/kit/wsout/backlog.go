package wsout

import (
	"context"
	"math"
	"sync"
)

// backlog counts what was broadcast and not yet offered to all.
type backlog struct {
	maxMessages, maxBytes int

	mu              sync.Mutex
	messages, bytes int
	room            chan struct{} // closed when there is room; nil if nobody waits
}

func (b *backlog) init(messages, bytes int) { b.maxMessages, b.maxBytes = messages, bytes }

func (b *backlog) add(bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages++
	b.bytes += bytes
}

func (b *backlog) release(messages, bytes int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.messages -= messages
	b.bytes -= bytes
	if b.room != nil && !b.full() {
		close(b.room)
		b.room = nil
	}
}

// open ends all waiting for good.
func (b *backlog) open() {
	b.mu.Lock()
	b.maxMessages, b.maxBytes = math.MaxInt, math.MaxInt
	b.mu.Unlock()
	b.release(0, 0)
}

func (b *backlog) full() bool { return b.messages >= b.maxMessages || b.bytes >= b.maxBytes }

func (b *backlog) wait(ctx context.Context) error {
	for {
		b.mu.Lock()
		if !b.full() {
			b.mu.Unlock()
			return nil
		}
		if b.room == nil {
			b.room = make(chan struct{})
		}
		room := b.room
		b.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
