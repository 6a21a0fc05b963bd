package socket

import (
	"context"
	"sync"

	"github.com/pushbridge/bridge/adapters/pusher/socket/metrics"
	"github.com/pushbridge/bridge/core"
)

// source hands client events and happenings to the bus, in order. They are put in
// without waiting, under the lock of a Space; one goroutine publishes what has
// gathered. An instance cannot know whether a route takes its events: the bus
// accepts them all, and drops at once those that nobody takes.
type source struct {
	host    core.Host
	metrics *metrics.Metrics
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	waiting []core.Event
	bytes   int
	wake    chan struct{} // capacity 1: whoever is woken takes all there is
	ended   bool
}

// What may wait for the bus, and what is published in one piece.
const (
	maxWaiting      = 16384
	maxWaitingBytes = 16 << 20
	pieceEvents     = 256
	pieceBytes      = 1 << 20 // one larger event passes alone
)

func newSource(host core.Host, counts *metrics.Metrics) *source {
	s := &source{host: host, metrics: counts, wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.running.Go(func() { s.run(ctx) })
	return s
}

// put queues an event, or drops it if too much is waiting.
func (s *source) put(e core.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) >= maxWaiting || s.bytes >= maxWaitingBytes {
		s.count(e.Kind, "dropped", 1)
		return
	}
	s.waiting = append(s.waiting, e)
	s.bytes += len(e.Data)
	s.signal()
}

func (s *source) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *source) count(kind core.Kind, result string, n int) {
	s.metrics.Emitted.WithLabelValues(kind.String(), result).Add(float64(n))
}

func (s *source) run(ctx context.Context) {
	for {
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
		for piece, ended := s.take(); len(piece) > 0 || ended; piece, ended = s.take() {
			if len(piece) == 0 {
				return
			}
			s.publish(ctx, piece)
		}
	}
}

// take returns the next piece of what waits, and whether nothing comes any more.
func (s *source) take() (piece []core.Event, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, bytes := 0, 0
	for n < len(s.waiting) && n < pieceEvents && (n == 0 || bytes+len(s.waiting[n].Data) <= pieceBytes) {
		bytes += len(s.waiting[n].Data)
		n++
	}
	piece = s.waiting[:n:n]
	s.waiting = s.waiting[n:]
	s.bytes -= bytes
	if len(s.waiting) == 0 {
		s.waiting = nil
	}
	return piece, s.ended
}

// publish hands a piece to the bus. Nobody waits for its receipts; the routes
// decide how much it takes to have it.
func (s *source) publish(ctx context.Context, piece []core.Event) {
	result := "published"
	if _, err := s.host.Publish(ctx, core.Publication{Events: piece, Ack: core.AckSent}); err != nil {
		s.host.Log().Debug("the bus did not take events of clients", "events", len(piece), "error", err)
		result = "refused"
	}
	for i := range piece {
		s.count(piece[i].Kind, result, 1)
	}
}

// stop publishes what is waiting until ctx ends, and returns when nothing runs
// any more.
func (s *source) stop(ctx context.Context) {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.signal()
	stop := context.AfterFunc(ctx, s.cancel)
	s.running.Wait()
	stop()
	s.cancel()
}
