package peer

import "sync"

// queue holds encoded messages on their way to the connection. Any goroutine
// puts; a writer takes, of which there is at most one, and none while there is
// nothing to take: an idle session needs no goroutine to write.
type queue struct {
	maxMessages, maxBytes int
	// start starts a writer. It is called with the queue locked.
	start func()

	mu       sync.Mutex
	messages [][]byte
	bytes    int
	high     int  // longest since the last look, in messages
	writing  bool // there is a writer
	sealed   bool // the last message is in: nothing may follow a farewell
	closed   bool
}

func newQueue(maxMessages, maxBytes int, start func()) *queue {
	return &queue{maxMessages: maxMessages, maxBytes: maxBytes, start: start}
}

// put appends a message and reports false if there is no room. A message that
// nobody will take any more is dropped with success. last seals the queue, and
// such a message always has room.
func (q *queue) put(message []byte, last bool) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sealed || q.closed {
		return true
	}
	full := len(q.messages) >= q.maxMessages || q.bytes+len(message) > q.maxBytes && len(q.messages) > 0
	if full && !last {
		return false
	}
	q.messages = append(q.messages, message)
	q.bytes += len(message)
	q.high = max(q.high, len(q.messages))
	q.sealed = last
	q.write()
	return true
}

// write makes sure that there is a writer. q.mu is held.
func (q *queue) write() {
	if !q.writing {
		q.writing = true
		q.start()
	}
}

// close lets nothing more in; what is queued can still be taken, unless it is
// discarded. The writer that takes the last of it closes the connection. It is
// safe to call twice.
func (q *queue) close(discard bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if discard {
		q.messages, q.bytes = nil, 0
	}
	if !q.closed {
		q.closed = true
		q.write()
	}
}

// A batch is what one write sends: few enough bytes to be gone within the write
// timeout on a slow line, enough messages to make the system call cheap.
const (
	batchMessages = 256
	batchBytes    = 64 << 10
)

// take returns the next batch, appended to into[:0]. An empty one ends the
// writer; closed says that it was the last. The first message is taken whatever
// its size.
func (q *queue) take(into [][]byte) (batch [][]byte, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch = into[:0]
	size := 0
	for _, message := range q.messages {
		if len(batch) == batchMessages || len(batch) > 0 && size+len(message) > batchBytes {
			break
		}
		batch = append(batch, message)
		size += len(message)
	}
	q.bytes -= size
	clear(q.messages[:len(batch)])
	q.messages = q.messages[len(batch):]
	if len(q.messages) == 0 {
		q.messages = nil // an idle session keeps no memory of a burst
	}
	if len(batch) == 0 && !q.closed {
		q.writing = false // once closed there is no other writer
	}
	return batch, q.closed
}

// highWater returns the longest that the queue has been since it was last asked.
func (q *queue) highWater() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	high := q.high
	q.high = len(q.messages)
	return high
}
