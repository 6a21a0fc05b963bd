package bus

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
}

// Edge leads from the sources of a route to one target. It has a bounded queue
// and a goroutine of its own, so that a slow sink holds up no other edge.
type Edge struct {
	options EdgeOptions
	target  *Target
	kinds   [core.KindHappening + 1]bool
	counts  EdgeCounts

	mu      sync.Mutex
	queue   queue
	blocked []blockedShare // OverflowBlock: what waits for room, oldest first
	closed  bool

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
		options: options,
		target:  target,
		wake:    make(chan struct{}, 1),
		cancel:  cancel,
		stopped: make(chan struct{}),
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

// Queued is the number of events that wait in the queue.
func (e *Edge) Queued() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.queue.len()
}

// Close delivers what is queued until ctx ends, refuses the rest, and ends the
// edge's goroutine. No publication may reach the edge any more: the caller has
// taken it out of the table.
func (e *Edge) Close(ctx context.Context) {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.signal()
	select {
	case <-e.stopped:
	case <-ctx.Done():
		e.cancel()
		<-e.stopped
	}
	e.cancel() // frees the context in either case
	e.refuseQueued(e.stoppedRefusal())
}

// offer admits all of a publication's items on this edge, or refuses them all, or
// neither: then the edge blocks. A blocked share is taken over if there is a pub,
// which hears of its admission; without one it stays the caller's.
func (e *Edge) offer(items []Delivery, bytes int, pub *pending, share int) (admitted bool, refusal *core.Refusal) {
	if refusal := e.target.refused(); refusal != nil {
		return false, e.refuse(len(items), refusal)
	}
	admitted, dropped, refusal := e.enqueue(items, bytes, pub, share)
	if refusal != nil {
		return false, e.refuse(len(items), refusal)
	}
	if len(dropped) > 0 {
		answerAll(dropped, core.Refuse(core.CodeDropped, "pushed out of the queue to %q by newer events", e.target.name))
	}
	return admitted, nil
}

func (e *Edge) enqueue(items []Delivery, bytes int, pub *pending, share int) (admitted bool, dropped []Delivery, refusal *core.Refusal) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return false, nil, e.stoppedRefusal()
	}
	if len(e.blocked) > 0 || !e.fits(len(items), bytes) {
		switch e.options.Overflow {
		case OverflowBlock:
			if pub != nil {
				e.blocked = append(e.blocked, blockedShare{items: slices.Clone(items), pub: pub, share: share})
			}
			return false, nil, nil
		case OverflowDropOldest:
			dropped = e.makeRoom(len(items), bytes)
		default:
			return false, nil, core.RefuseRetry(core.CodeQueueFull, time.Second,
				"the queue from route %q to %q is full", e.options.Route, e.target.name)
		}
	}
	e.admit(items)
	return true, dropped, nil
}

// fits reports whether the queue has room. An empty queue takes any publication,
// however large: else it could never be delivered.
func (e *Edge) fits(events, bytes int) bool {
	return e.queue.len() == 0 ||
		e.queue.len()+events <= e.options.QueueEvents && e.queue.bytes+bytes <= e.options.QueueBytes
}

func (e *Edge) admit(items []Delivery) {
	e.counts.Queued.Add(uint64(len(items)))
	e.queue.push(items)
	e.signal()
}

func (e *Edge) refuse(events int, refusal *core.Refusal) *core.Refusal {
	e.counts.Refused.Add(uint64(events))
	return refusal
}

// makeRoom takes out the oldest events until the new ones fit. The caller
// answers them once the lock is free.
func (e *Edge) makeRoom(events, bytes int) (dropped []Delivery) {
	for !e.fits(events, bytes) {
		dropped = append(dropped, e.queue.pop())
	}
	e.counts.Dropped.Add(uint64(len(dropped)))
	return dropped
}

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
		if e.isClosed() {
			return
		}
		select {
		case <-e.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (e *Edge) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed && e.queue.len() == 0
}

// take moves up to a batch of deliveries from the queue to batch, and lets
// blocked shares follow into the queue.
func (e *Edge) take(batch []Delivery) []Delivery {
	e.mu.Lock()
	bytes := 0
	for e.queue.len() > 0 && len(batch) < BatchEvents {
		size := e.queue.first().Frame.Len()
		if len(batch) > 0 && bytes+size > BatchBytes {
			break
		}
		bytes += size
		batch = append(batch, e.queue.pop())
	}
	admitted := e.unblock()
	e.mu.Unlock()
	for _, b := range admitted {
		b.pub.admitted(b.share)
	}
	return batch
}

// unblock admits the blocked shares that fit now and returns them.
func (e *Edge) unblock() []blockedShare {
	n := 0
	for n < len(e.blocked) {
		b := e.blocked[n]
		bytes := 0
		for i := range b.items {
			bytes += b.items[i].Frame.Len()
		}
		if !e.fits(len(b.items), bytes) {
			break
		}
		e.admit(b.items)
		n++
	}
	admitted := e.blocked[:n:n]
	e.blocked = e.blocked[n:]
	return admitted
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
			if err := sinks[len(sinks)-1].Deliver(ctx, batch); err == nil {
				return
			} else if ctx.Err() != nil {
				answerAll(batch, e.stoppedRefusal())
				return
			}
			// The sink is ending and took nothing. Whoever runs it says so
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
	var rest []Delivery
	for e.queue.len() > 0 {
		rest = append(rest, e.queue.pop())
	}
	blocked := e.blocked
	e.blocked = nil
	e.mu.Unlock()
	answerAll(rest, refusal)
	for _, b := range blocked {
		answerAll(b.items, refusal)
		b.pub.admitted(b.share)
	}
}

func answerAll(batch []Delivery, refusal *core.Refusal) {
	for _, d := range batch {
		d.Answer(core.Receipt{Err: refusal})
	}
}
