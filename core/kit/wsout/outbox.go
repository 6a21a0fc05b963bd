package wsout

import (
	"errors"
	"os"
	"slices"
	"time"
)

// outbox holds what waits for a connection that did not take all at once, and
// exists only as long as that lasts. The connection's lock guards it.
type outbox struct {
	rest   []byte // of what was begun to be written: goes first
	urgent []byte // pongs: between any two messages
	queue  []queued
	// messages and bytes of queue.
	messages, bytes int
	last            []byte // the close frame: goes when all else is gone
	round           *round // which waits for the queue to get shorter; nil: none
}

// queued is some whole frames.
type queued struct {
	data     []byte
	messages int
}

// maxUrgent bounds pongs to a client that asks for them and does not read.
// Answering every ping is not needed (RFC 6455 section 5.5.3).
const maxUrgent = 1024

func (o *outbox) add(data []byte, messages int) {
	o.queue = append(o.queue, queued{data, messages})
	o.messages += messages
	o.bytes += len(data)
}

// above reports whether the queue is fuller than a part of what is allowed. A
// single message may be as long as it likes.
func (o *outbox) above(settings *Settings, part int) bool {
	return o.messages > settings.QueueMessages/part || len(o.queue) > 1 && o.bytes > settings.QueueBytes/part
}

// leaveRound ends being waited for, and reports whether anybody did.
func (o *outbox) leaveRound() bool {
	if o.round == nil {
		return false
	}
	o.round.leave()
	o.round = nil
	return true
}

// discard drops what needs not be written for the stream of frames to stay whole.
func (o *outbox) discard() {
	o.urgent, o.queue, o.messages, o.bytes = nil, nil, 0, 0
	o.leaveRound()
}

// take returns what is to be written next, nil if nothing is left.
func (o *outbox) take(settings *Settings) []byte {
	pieces := [][]byte{o.rest, o.urgent}
	size := len(o.rest) + len(o.urgent)
	o.rest, o.urgent = nil, nil
	taken := 0
	for _, q := range o.queue {
		if size > 0 && size+len(q.data) > batchBytes {
			break
		}
		pieces = append(pieces, q.data)
		size += len(q.data)
		o.messages -= q.messages
		o.bytes -= len(q.data)
		taken++
	}
	clear(o.queue[:taken])
	o.queue = o.queue[taken:]
	if len(o.queue) == 0 {
		pieces = append(pieces, o.last)
		o.last = nil
	}
	if o.round != nil {
		o.round.progress.Add(1)
		if !o.above(settings, 4) {
			o.leaveRound()
		}
	}
	return join(pieces)
}

// join makes one piece of several. A single one, which others may hold too, is
// not copied.
func join(pieces [][]byte) []byte {
	pieces = slices.DeleteFunc(pieces, func(piece []byte) bool { return len(piece) == 0 })
	switch len(pieces) {
	case 0:
		return nil
	case 1:
		return pieces[0]
	}
	return slices.Concat(pieces...)
}

// catchUp writes the outbox until it is empty. It runs in a goroutine of its
// own, at most one for a connection.
func (c *Conn) catchUp() {
	for {
		c.mu.Lock()
		data := c.out.take(c.settings)
		if data == nil {
			c.caughtUp()
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.writeAll(data)
	}
}

// caughtUp ends the outbox. c.mu is held.
func (c *Conn) caughtUp() {
	c.out = nil
	if c.state == over {
		return
	}
	_ = c.below.SetWriteDeadline(time.Time{}) // or a later direct write finds it passed
	if c.flushed != nil {
		c.flushed()
	}
}

// writeAll writes data, waiting for the client. It gives up when the connection
// is over, which also discards the outbox.
func (c *Conn) writeAll(data []byte) {
	for {
		_ = c.below.SetWriteDeadline(time.Now().Add(c.settings.WriteTimeout)) // if it fails, so does Write
		n, err := c.below.Write(data)
		if err == nil {
			return
		}
		data = data[n:]
		if !c.goOnAfter(err) {
			return
		}
	}
}

// goOnAfter deals with a failed write. A client that was too slow is told so if
// it ever reads on; the rest of what was begun goes before that.
func (c *Conn) goOnAfter(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	timeout := errors.Is(err, os.ErrDeadlineExceeded)
	if timeout && c.state == open {
		c.evict()
	}
	if timeout && c.state == ending && c.socket != nil { // a TLS connection is broken by a timeout
		return true // until the close timeout
	}
	c.fail(err)
	return false
}
