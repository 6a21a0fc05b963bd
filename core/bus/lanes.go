package bus

import (
	"cmp"
	"container/heap"
	"container/list"
	"slices"
	"time"

	"github.com/pushbridge/bridge/core"
)

// retrying keeps the events of an edge that retries, by lane: those of one
// source, space and topic. A lane delivers in order and, while one of its events
// fails, that one alone; other lanes go on. It is guarded by its edge's lock.
type retrying struct {
	policy Retry
	counts *EdgeCounts
	wake   func() // tells the edge's goroutine that there is something to do, or to wait for

	lanes  map[string]*lane
	ready  []*lane  // have something to deliver now, oldest first
	parked laneHeap // wait for their time
	all    list.List
	taken  uint64 // events so far
	// What waits, here rather than in the queue, and is not under way.
	events, bytes int
	key           []byte // scratch
}

// lane is in ready, or parked, or has something in flight.
type lane struct {
	key      string
	waiting  []*kept // in order of arrival
	inFlight int
	refused  []*kept   // of those that were under way together, to be tried again
	failing  bool      // the last attempt failed for now
	due      time.Time // when a parked lane goes on
}

func newRetrying(policy Retry, counts *EdgeCounts, wake func()) *retrying {
	return &retrying{policy: policy.withDefaults(), counts: counts, wake: wake, lanes: make(map[string]*lane)}
}

// take sorts the queue into lanes and appends what may be delivered now to batch.
// hurry makes nothing wait for its time any more. Events that waited behind a
// failing one until their own time was over come back as given up.
func (r *retrying) take(batch []Delivery, q *queue, now time.Time, hurry bool) (_ []Delivery, givenUp []expired) {
	for q.len() > 0 {
		var one [1]Delivery
		r.keep(q.take(one[:0], 1, 0)[0], now)
	}
	for len(r.parked) > 0 && (hurry || !r.parked[0].due.After(now)) {
		r.ready = append(r.ready, heap.Pop(&r.parked).(*lane))
	}
	bytes, n := 0, 0
	for n < len(r.ready) && len(batch) < BatchEvents && bytes < BatchBytes {
		l := r.ready[n]
		givenUp = r.expire(l, now, givenUp)
		before := len(batch)
		batch, bytes = r.dispatch(l, batch, bytes)
		if len(batch) == before && len(l.waiting) > 0 {
			break // no room for its next event
		}
		n++
		if l.inFlight == 0 { // it had nothing left
			delete(r.lanes, l.key)
		}
	}
	r.ready = slices.Delete(r.ready, 0, n)
	return batch, givenUp
}

// keep puts an event that leaves the queue behind the others of its lane.
func (r *retrying) keep(d Delivery, now time.Time) {
	r.key = d.Frame.AppendLane(r.key[:0])
	l := r.lanes[string(r.key)]
	if l == nil {
		l = &lane{key: string(r.key)}
		r.lanes[l.key] = l
		r.ready = append(r.ready, l)
	}
	arrived := d.Frame.Arrived()
	if arrived.IsZero() {
		arrived = now
	}
	r.taken++
	k := &kept{delivery: d, lane: l, number: r.taken, deadline: arrived.Add(r.policy.For)}
	k.place = r.all.PushBack(k)
	l.waiting = append(l.waiting, k)
	r.wait(k, 1)
}

// wait books that an event waits (1), or that it does no longer (-1).
func (r *retrying) wait(k *kept, change int) {
	r.events += change
	r.bytes += change * k.delivery.Frame.Len()
}

// dispatch appends what of the lane may be delivered now.
func (r *retrying) dispatch(l *lane, batch []Delivery, bytes int) ([]Delivery, int) {
	most := r.policy.InFlight
	if l.failing {
		most = 1
	}
	for l.inFlight < most && len(l.waiting) > 0 && len(batch) < BatchEvents {
		k := l.waiting[0]
		size := k.delivery.Frame.Len()
		if len(batch) > 0 && bytes+size > BatchBytes {
			break
		}
		l.waiting[0] = nil
		l.waiting = l.waiting[1:]
		r.wait(k, -1)
		if k.attempts > 0 {
			r.counts.Retried.Add(1)
		}
		k.inFlight = true
		l.inFlight++
		batch = append(batch, k.handed())
		bytes += size
	}
	return batch, bytes
}

// expire takes the events out of a failing lane that were never tried and whose
// time is over.
func (r *retrying) expire(l *lane, now time.Time, givenUp []expired) []expired {
	for l.failing && len(l.waiting) > 0 {
		k := l.waiting[0]
		if k.attempts > 0 || now.Before(k.deadline) {
			break
		}
		r.remove(k)
		givenUp = append(givenUp, expired{k.settled(), core.RefuseRetry(core.CodeTimeout, 0,
			"given up behind another event of its topic, which the sink refused until the time for retrying was over")})
	}
	return givenUp
}

// remove takes out an event that waits.
func (r *retrying) remove(k *kept) {
	for _, waiting := range []*[]*kept{&k.lane.waiting, &k.lane.refused} {
		if at := slices.Index(*waiting, k); at >= 0 {
			*waiting = slices.Delete(*waiting, at, at+1)
		}
	}
	r.all.Remove(k.place)
	r.wait(k, -1)
}

// answered books the sink's word on an event under way, and tells whether the
// event is to be tried again, or given up although the sink might take it later.
func (r *retrying) answered(k *kept, refusal *core.Refusal, now time.Time, closed bool) (again, givenUp bool) {
	l := k.lane
	k.inFlight = false
	l.inFlight--
	l.failing = refusal != nil && refusal.Retryable
	if l.failing {
		again = !closed && now.Before(k.deadline)
		givenUp = !again
	}
	if refusal != nil && refusal.Outcome == core.OutcomeUnknown {
		k.unknown = true
	}
	if again {
		k.attempts++
		k.refusal = refusal
		l.refused = append(l.refused, k)
		r.wait(k, 1)
		wait := min(r.policy.wait(k.attempts, refusal), k.deadline.Sub(now))
		if due := now.Add(wait); due.After(l.due) {
			l.due = due
		}
	} else {
		r.all.Remove(k.place)
	}
	if l.inFlight == 0 {
		r.restart(l, now)
	}
	return again, givenUp
}

// restart lets a lane go on once nothing of it is under way.
func (r *retrying) restart(l *lane, now time.Time) {
	if len(l.refused) > 0 {
		slices.SortFunc(l.refused, func(a, b *kept) int { return cmp.Compare(a.number, b.number) })
		l.waiting = append(l.refused, l.waiting...)
		l.refused, l.failing = nil, true
	}
	switch {
	case len(l.waiting) == 0:
		delete(r.lanes, l.key)
		return
	case l.due.After(now):
		heap.Push(&r.parked, l)
	default:
		r.ready = append(r.ready, l)
	}
	r.wake()
}

// giveUp takes out everything that waits: with the sink's last word on it, or
// refusal if it was never tried.
func (r *retrying) giveUp(refusal *core.Refusal) []expired {
	var givenUp []expired
	for k := r.oldest(); k != nil; k = r.oldest() {
		r.remove(k)
		why := k.refusal
		if why == nil {
			why = refusal
		}
		givenUp = append(givenUp, expired{k.settled(), why})
	}
	return givenUp
}

// oldest is the oldest event that waits, nil if none does.
func (r *retrying) oldest() *kept {
	for place := r.all.Front(); place != nil; place = place.Next() {
		if k := place.Value.(*kept); !k.inFlight {
			return k
		}
	}
	return nil
}

// untilDue is how long it takes until a lane may go on; false if none waits for
// its time.
func (r *retrying) untilDue(now time.Time) (time.Duration, bool) {
	if len(r.parked) == 0 {
		return 0, false
	}
	return r.parked[0].due.Sub(now), true
}

// laneHeap has the lane on top that is due first.
type laneHeap []*lane

func (h laneHeap) Len() int           { return len(h) }
func (h laneHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h laneHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *laneHeap) Push(l any)        { *h = append(*h, l.(*lane)) }
func (h *laneHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return l
}
