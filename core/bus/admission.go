package bus

import (
	"slices"
	"time"

	"github.com/pushbridge/bridge/core"
)

// offer offers one share of a publication: all of it is admitted, or refused, or
// waits for room; pub hears which.
func (e *Edge) offer(items []Delivery, pub *pending, share int) {
	var dropped []Delivery
	verdict, refusal := admitted, e.refusedByTarget()
	e.mu.Lock()
	if refusal == nil {
		verdict, refusal = e.tryAdmit(items, &dropped)
	}
	if refusal == nil && verdict == mustWait {
		e.block(items, pub, share)
	}
	e.mu.Unlock()
	e.answerDropped(dropped)
	switch {
	case refusal != nil:
		pub.refused(share, refusal, e.refusals(items, refusal))
	case verdict == admitted:
		pub.admitted(share)
	}
}

// refusedByTarget is the target's refusal if it keeps events out of the queue: an
// edge that retries waits for a target that may come back.
func (e *Edge) refusedByTarget() *core.Refusal {
	refusal := e.target.refused()
	if e.retrying != nil && refusal != nil && refusal.Retryable {
		return nil
	}
	return refusal
}

// verdict is what an edge says to a share that it does not refuse.
type verdict bool

// tryAdmit puts all items into the queue, or none. What is pushed out for them is
// added to dropped. The lock is held.
func (e *Edge) tryAdmit(items []Delivery, dropped *[]Delivery) (verdict, *core.Refusal) {
	if e.closed {
		return admitted, e.stoppedRefusal()
	}
	bytes := sizeOf(items)
	if len(e.blocked) > 0 || !e.fits(len(items), bytes) {
		switch e.options.Overflow {
		case OverflowBlock:
			return mustWait, nil
		case OverflowDropOldest:
			e.makeRoom(len(items), bytes, dropped)
		default:
			return admitted, core.RefuseRetry(core.CodeQueueFull, time.Second,
				"the queue from route %q to %q is full", e.options.Route, e.target.name)
		}
	}
	e.admit(items, bytes)
	return admitted, nil
}

// block keeps items until there is room; pub hears of their admission. The lock
// is held.
func (e *Edge) block(items []Delivery, pub *pending, share int) {
	e.blocked = append(e.blocked, blockedShare{items: slices.Clone(items), pub: pub, share: share})
}

func (e *Edge) answerDropped(dropped []Delivery) {
	if len(dropped) > 0 {
		answerAll(dropped, core.Refuse(core.CodeDropped, "pushed out of the queue to %q by newer events", e.target.name))
	}
}

// fits reports whether the queue has room. An empty queue takes any publication,
// however large: else it could never be delivered.
func (e *Edge) fits(events, bytes int) bool {
	waiting, waitingBytes := e.waiting()
	return waiting == 0 ||
		waiting+events <= e.options.QueueEvents && waitingBytes+bytes <= e.options.QueueBytes
}

func (e *Edge) admit(items []Delivery, bytes int) {
	e.counts.Queued.Add(uint64(len(items)))
	e.unanswered.Add(int64(len(items)))
	e.queue.push(items, bytes)
	e.signal()
}

// makeRoom takes out the oldest events until the new ones fit, and adds them to
// dropped. The caller answers them once the lock is free.
func (e *Edge) makeRoom(events, bytes int, dropped *[]Delivery) {
	before := len(*dropped)
	for !e.fits(events, bytes) {
		if e.retrying != nil {
			if k := e.retrying.oldest(); k != nil { // what is in the queue is newer
				e.retrying.remove(k)
				*dropped = append(*dropped, k.settled())
				continue
			}
		}
		*dropped = e.queue.take(*dropped, len(*dropped)+1, 0)
	}
	e.counts.Dropped.Add(uint64(len(*dropped) - before))
}

// unblock admits the blocked shares that fit now and returns them.
func (e *Edge) unblock() []blockedShare {
	n := 0
	for n < len(e.blocked) {
		b := e.blocked[n]
		bytes := sizeOf(b.items)
		if !e.fits(len(b.items), bytes) {
			break
		}
		e.admit(b.items, bytes)
		n++
	}
	admitted := e.blocked[:n:n]
	e.blocked = e.blocked[n:]
	return admitted
}
