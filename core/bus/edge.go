package bus

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

// Overflow says what an edge does with a publication that its queue has no room
// for.
type Overflow uint8

// The overflow rules.
const (
	OverflowReject     Overflow = iota // refuse the publication on this edge
	OverflowBlock                      // let the publisher wait
	OverflowDropOldest                 // make room by dropping the oldest events
)

// Limits of an edge's queue, unless EdgeOptions say otherwise. The bytes bound
// memory where events are large.
const (
	DefaultQueueEvents = 4096
	DefaultQueueBytes  = 64 << 20
)

// A batch is at most this large; one larger event passes alone. These are the
// sizes of the plugin boundary, so that a batch crosses it as one message.
const (
	BatchEvents = 256
	BatchBytes  = 128 << 10
)

// Mapper decides what an edge makes of an event. core/mapping implements it.
type Mapper interface {
	// Map returns the frame to deliver, keep false to leave the event out, or
	// an error, which refuses the event on this edge.
	Map(f frame.Frame) (mapped frame.Frame, keep bool, err error)
}

// EdgeOptions configure an [Edge].
type EdgeOptions struct {
	// Route is the name of the file that the edge belongs to.
	Route string
	// Kinds that pass; nil means messages and client events.
	Kinds []core.Kind
	// Mapper, or nil to deliver events as they are.
	Mapper Mapper
	// QueueEvents and QueueBytes bound the queue; zero means the defaults.
	QueueEvents int
	QueueBytes  int
	Overflow    Overflow
	// Retry, or nil to try every event once.
	Retry *Retry
	// Log hears of events that are given up after retrying, at most once a minute
	// and at the end; nil for none.
	Log *slog.Logger
	// After is the edge that this one takes the place of, or nil. What that has
	// queued is delivered first, so that order holds over the change.
	After *Edge
}

// Edge leads from the sources of a route to one target. It has a bounded queue
// and a goroutine of its own, so that a slow sink holds up no other edge.
type Edge struct {
	options EdgeOptions
	target  *Target
	kinds   [core.KindHappening + 1]bool
	counts  EdgeCounts
	// unanswered counts deliveries from their admission to their answer.
	unanswered atomic.Int64
	answered   chan struct{} // capacity 1: told when unanswered falls to zero

	mu      sync.Mutex
	queue   queue
	blocked []blockedShare // OverflowBlock: what waits for room, oldest first
	closed  bool
	// retrying takes over what leaves the queue; nil on an edge that tries once.
	retrying *retrying

	giveUpNotice rate.Sometimes

	wake    chan struct{} // capacity 1: "the queue is no longer empty" need not be told twice
	cancel  context.CancelFunc
	stopped chan struct{} // closed when the goroutine has ended
}

// EdgeCounts count an edge's events since it was made.
type EdgeCounts struct {
	Queued    atomic.Uint64 // admitted to the queue
	Delivered atomic.Uint64 // accepted by the sink
	Refused   atomic.Uint64 // refused, by the edge or the sink
	Dropped   atomic.Uint64 // dropped by OverflowDropOldest; counted in Refused too
	Retried   atomic.Uint64 // attempts after the first
	GivenUp   atomic.Uint64 // not tried again although the sink might take them later; counted in Refused too
}

// blockedShare is a share that an edge has taken but not admitted.
type blockedShare struct {
	items []Delivery
	pub   *pending
	share int
}

// NewEdge makes an edge and starts its goroutine, which ends with [Edge.Close].
func NewEdge(target *Target, options EdgeOptions) *Edge {
	if options.QueueEvents <= 0 {
		options.QueueEvents = DefaultQueueEvents
	}
	if options.QueueBytes <= 0 {
		options.QueueBytes = DefaultQueueBytes
	}
	if options.Kinds == nil {
		options.Kinds = []core.Kind{core.KindMessage, core.KindClient}
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &Edge{
		options:  options,
		target:   target,
		wake:     make(chan struct{}, 1),
		answered: make(chan struct{}, 1),
		cancel:   cancel,
		stopped:  make(chan struct{}),

		giveUpNotice: rate.Sometimes{Interval: time.Minute},
	}
	if options.Retry != nil {
		e.retrying = newRetrying(*options.Retry, &e.counts, e.signal)
	}
	for _, kind := range options.Kinds {
		e.kinds[kind] = true
	}
	go e.run(ctx)
	return e
}

// Target is where the edge leads.
func (e *Edge) Target() *Target { return e.target }

// Counts are the edge's counters, live.
func (e *Edge) Counts() *EdgeCounts { return &e.counts }

// Queued is the number of events that wait: in the queue, and for another
// attempt, or behind an event that does.
func (e *Edge) Queued() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	events, _ := e.waiting()
	return events
}

// waiting is what counts against the bounds of the queue.
func (e *Edge) waiting() (events, bytes int) {
	events, bytes = e.queue.len(), e.queue.bytes
	if e.retrying != nil {
		events, bytes = events+e.retrying.events, bytes+e.retrying.bytes
	}
	return events, bytes
}

// Close delivers what is queued and waits until all of it is answered, until ctx
// ends; then it refuses what is still queued. Events that wait for another
// attempt get it now, as their last. It ends the edge's goroutine. No publication
// may reach the edge any more: the caller has taken it out of the table.
func (e *Edge) Close(ctx context.Context) {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	defer e.tellGivenUp(e.counts.GivenUp.Load())
	e.signal()
	select {
	case <-e.stopped:
	case <-ctx.Done():
		e.cancel()
		<-e.stopped
	}
	e.cancel() // frees the context in either case
	e.refuseQueued(e.stoppedRefusal())
	for e.unanswered.Load() > 0 {
		select {
		case <-e.answered:
		case <-ctx.Done():
			return // the sink still owes the answers
		}
	}
}

// answeredOne books that a delivery has its answer.
func (e *Edge) answeredOne() {
	if e.unanswered.Add(-1) > 0 {
		return
	}
	select {
	case e.answered <- struct{}{}:
	default:
	}
}

const (
	admitted verdict = true
	mustWait verdict = false // OverflowBlock, and there is no room
)

func (e *Edge) stoppedRefusal() *core.Refusal {
	return core.RefuseRetry(core.CodeNotRunning, time.Second, "route %q was stopped", e.options.Route)
}

func (e *Edge) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// run hands batches to the target until the edge is closed and empty.
func (e *Edge) run(ctx context.Context) {
	defer close(e.stopped)
	if e.options.After != nil {
		select {
		case <-e.options.After.stopped:
			e.options.After = nil // else each edge would keep all before it alive
		case <-ctx.Done():
			return
		}
	}
	batch := make([]Delivery, 0, BatchEvents)
	for {
		batch = e.take(batch[:0])
		if len(batch) > 0 {
			e.deliver(ctx, batch)
			clear(batch)
			if ctx.Err() != nil {
				return
			}
			continue
		}
		due, closed := e.idle()
		if closed {
			return
		}
		select {
		case <-e.wake:
		case <-due:
		case <-ctx.Done():
			return
		}
	}
}

// idle tells when there is something to do without anybody waking the edge (never,
// if it does not retry), and whether there is nothing left to do at all.
func (e *Edge) idle() (due <-chan time.Time, closed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if waiting, _ := e.waiting(); e.closed && waiting == 0 {
		return nil, true
	}
	if e.retrying != nil {
		if wait, ok := e.retrying.untilDue(time.Now()); ok {
			return time.After(wait), false
		}
	}
	return nil, false
}

// take moves up to a batch of deliveries from the queue to batch, and lets
// blocked shares follow into the queue.
func (e *Edge) take(batch []Delivery) []Delivery {
	var givenUp []expired
	e.mu.Lock()
	if e.retrying == nil {
		batch = e.queue.take(batch, BatchEvents, BatchBytes)
	} else {
		batch, givenUp = e.retrying.take(batch, &e.queue, time.Now(), e.closed)
	}
	admitted := e.unblock()
	e.mu.Unlock()
	for _, b := range admitted {
		b.pub.admitted(b.share)
	}
	e.answerExpired(givenUp)
	return batch
}

// deliver hands the batch to the target, waiting while the target is on hold.
func (e *Edge) deliver(ctx context.Context, batch []Delivery) {
	for {
		sinks, refusal, changed := e.target.now()
		switch {
		case refusal != nil:
			answerAll(batch, refusal)
			return
		case len(sinks) > 0:
			if deliverTo(ctx, sinks, batch) {
				return
			}
			if ctx.Err() != nil {
				answerAll(batch, e.stoppedRefusal())
				return
			}
			// The sinks are ending and took nothing. Whoever runs them says so
			// through the target; until then there is nothing to do.
		}
		select {
		case <-changed:
		case <-ctx.Done():
			answerAll(batch, e.stoppedRefusal())
			return
		}
	}
}

// refuseQueued answers everything that waits.
func (e *Edge) refuseQueued(refusal *core.Refusal) {
	e.mu.Lock()
	var givenUp []expired
	if e.retrying != nil {
		givenUp = e.retrying.giveUp(refusal)
	}
	rest := e.queue.take(nil, e.queue.len(), math.MaxInt)
	blocked := e.blocked
	e.blocked = nil
	e.mu.Unlock()
	e.answerExpired(givenUp)
	answerAll(rest, refusal)
	for _, b := range blocked {
		e.unanswered.Add(int64(len(b.items)))
		answerAll(b.items, refusal)
		b.pub.admitted(b.share)
	}
}

func answerAll(batch []Delivery, refusal *core.Refusal) {
	for _, d := range batch {
		d.Answer(core.Receipt{Err: refusal})
	}
}
