package wsout

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Options of a Writer.
type Options struct {
	// Writers is the number of goroutines that write to groups; 0: one per
	// processor, at least two.
	Writers int
	// BacklogMessages and BacklogBytes are how much may wait for those
	// goroutines before Wait waits; 0: 4096 messages, 4 MiB.
	BacklogMessages, BacklogBytes int
}

// Writer owns connections and what writes to them. An instance of an adapter
// has one. Its methods may be called from any goroutine.
type Writer struct {
	shards  []*shard
	backlog backlog
	running sync.WaitGroup // every goroutine of the Writer and of its connections

	mu     sync.Mutex
	conns  map[*Conn]struct{}
	next   int // the shard of the next connection
	closed bool
}

// New starts a Writer. The caller closes it.
func New(options Options) *Writer {
	if options.Writers <= 0 {
		options.Writers = max(2, runtime.GOMAXPROCS(0))
	}
	if options.BacklogMessages <= 0 {
		options.BacklogMessages = 4096
	}
	if options.BacklogBytes <= 0 {
		options.BacklogBytes = 4 << 20
	}
	w := &Writer{conns: make(map[*Conn]struct{})}
	w.backlog.init(options.BacklogMessages, options.BacklogBytes)
	for range options.Writers {
		s := newShard(len(w.shards))
		w.shards = append(w.shards, s)
		w.running.Go(s.run)
	}
	return w
}

// Wait returns when there is room for more broadcasts, or ctx ends with its
// error. Whoever broadcasts calls it before, without holding a lock: this is how
// a source that is too fast is slowed down. What one caller hands over between
// two calls should be bounded, like a batch of the bus is. Once the Writer is
// closed there is room for everything, and nothing is written.
func (w *Writer) Wait(ctx context.Context) error { return w.backlog.wait(ctx) }

// Len is the number of connections.
func (w *Writer) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

// add takes a connection in and gives it to a shard; false if the Writer is closed.
func (w *Writer) add(c *Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	c.shard = w.next
	w.next = (w.next + 1) % len(w.shards)
	w.conns[c] = struct{}{}
	return true
}

func (w *Writer) isClosed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.closed
}

func (w *Writer) remove(c *Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
}

// run runs f in a goroutine that Close waits for; false if the Writer is closed.
func (w *Writer) run(f func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.running.Go(f)
	return true
}

// Close cuts the connections that are left, discards what was not written, and
// waits for every goroutine until ctx ends; handlers that block hold it up. No
// connection is accepted from then on. To say goodbye, close the connections
// before. It is safe to call twice.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	w.closed = true
	left := make([]*Conn, 0, len(w.conns))
	for c := range w.conns {
		left = append(left, c)
	}
	w.mu.Unlock()
	w.backlog.open()
	for _, s := range w.shards {
		s.close()
	}
	for _, c := range left {
		c.Cut()
	}
	ended := make(chan struct{})
	go func() {
		w.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for WebSockets to end: %w", ctx.Err())
	}
}
