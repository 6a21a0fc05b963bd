package stream

import (
	"context"
	"sync"
)

// Outbox gathers entries into messages for the one goroutine that writes a
// stream. What is gathered leaves the moment the writer is free; there is no
// timer.
type Outbox struct {
	mu      sync.Mutex
	filling *[]byte   // the message that takes entries; nil if there is none
	entries int       // in filling
	full    []*[]byte // messages that take no more
	wake    chan struct{}

	buffers Buffers
}

// NewOutbox returns an empty outbox. What waits in it must be bounded by the
// caller's window.
func NewOutbox() *Outbox {
	// Capacity 1: a writer that is told once looks at everything there is.
	return &Outbox{wake: make(chan struct{}, 1)}
}

// Add appends an entry of about size bytes to the message that is being filled.
func (o *Outbox) Add(size int, entry func(b []byte) []byte) {
	o.mu.Lock()
	if o.filling != nil && (o.entries == batchEntries || len(*o.filling)+size > batchBytes) {
		o.full = append(o.full, o.filling)
		o.filling = nil
	}
	if o.filling == nil {
		o.filling = o.buffers.Get(size)
		*o.filling = (*o.filling)[:0]
		o.entries = 0
	}
	*o.filling = entry(*o.filling)
	o.entries++
	o.mu.Unlock()
	o.Wake()
}

// Wake makes the writer send a message even if it holds no entry.
func (o *Outbox) Wake() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Write sends messages until ctx ends or send fails, and returns why. trailer
// appends what ends the last of the messages that are sent together; it is
// called before the entries are taken, so a trailer that says "answered up to
// here" never runs ahead of the entries that were added before. A message that
// stays empty is not sent.
func (o *Outbox) Write(ctx context.Context, trailer func(b []byte) []byte, send func(*Message) error) error {
	var closing []byte
	for {
		select {
		case <-o.wake:
		case <-ctx.Done():
			return ctx.Err()
		}
		closing = trailer(closing[:0])
		messages := o.take(len(closing) > 0)
		for i, message := range messages {
			if i == len(messages)-1 {
				*message = append(*message, closing...)
			}
			if err := send(o.buffers.message(message)); err != nil {
				return err
			}
		}
	}
}

// take returns the gathered messages. If there is something to close them with,
// there is at least one.
func (o *Outbox) take(one bool) []*[]byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	messages := o.full
	if o.filling != nil {
		messages = append(messages, o.filling)
	}
	o.full, o.filling = nil, nil
	if one && len(messages) == 0 {
		empty := o.buffers.Get(0)
		messages = append(messages, empty)
	}
	return messages
}
