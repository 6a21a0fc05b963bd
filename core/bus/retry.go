package bus

import (
	"container/list"
	"math/rand/v2"
	"time"

	"github.com/pushbridge/bridge/core"
)

// Retry says how an edge goes on with an event that its sink refused for now. A
// zero field means its default.
type Retry struct {
	// For is how long after its arrival an event is delivered again.
	For time.Duration
	// First is the wait before the second attempt; every further one is twice as
	// long, up to Max. A refusal that says when to come back overrules both.
	First, Max time.Duration
	// InFlight is how many events of one topic may be under way at a time. With
	// one, a sink gets the events of a topic in order whatever it refuses. With
	// more, those under way together may overtake one that is refused.
	InFlight int
}

// Defaults of a Retry. The time ends just before the five minutes after which
// receivers of webhooks take an event for a replay and discard it.
const (
	DefaultRetryFor   = 290 * time.Second
	DefaultRetryFirst = time.Second
	DefaultRetryMax   = time.Minute
)

func (r Retry) withDefaults() Retry {
	if r.For <= 0 {
		r.For = DefaultRetryFor
	}
	if r.First <= 0 {
		r.First = DefaultRetryFirst
	}
	if r.Max <= 0 {
		r.Max = DefaultRetryMax
	}
	r.InFlight = max(r.InFlight, 1)
	return r
}

// wait is how long an event that was refused waits for its next attempt: as long
// as the refusal says, else twice as long each time. It is a little random, so
// that what failed together does not come back together, and never shorter than
// the refusal says.
func (r Retry) wait(attempts int, refusal *core.Refusal) time.Duration {
	if refusal.After > 0 {
		return refusal.After + rand.N(refusal.After/10+1)
	}
	wait := r.First
	for n := 1; n < attempts && wait < r.Max; n++ {
		wait *= 2
	}
	wait = min(wait, r.Max)
	return wait - wait/10 + rand.N(wait/5+1)
}

// kept is an event on an edge that retries, from leaving the queue to its final
// answer.
type kept struct {
	delivery Delivery
	lane     *lane
	place    *list.Element // in retrying.all
	number   uint64        // in order of arrival
	deadline time.Time
	inFlight bool
	attempts int           // that were refused
	refusal  *core.Refusal // the last
	unknown  bool          // an attempt may have delivered it all the same
}

// handed is the delivery that the sink gets; its answer comes to k first.
func (k *kept) handed() Delivery {
	d := k.delivery
	d.pub, d.answers = nil, k.answer
	return d
}

// settled is the delivery whose answer is final.
func (k *kept) settled() Delivery {
	d := k.delivery
	d.answers = k.settle
	return d
}

// answer takes the sink's word on one attempt.
func (k *kept) answer(receipt core.Receipt) {
	e := k.delivery.edge
	e.mu.Lock()
	if !k.inFlight {
		e.mu.Unlock()
		return
	}
	again, givenUp := e.retrying.answered(k, receipt.Err, time.Now(), e.closed)
	e.mu.Unlock()
	if again {
		return
	}
	if givenUp {
		e.gaveUp(1, receipt.Err)
	}
	k.settle(receipt)
}

// settle gives the final answer.
func (k *kept) settle(receipt core.Receipt) {
	if receipt.Err != nil && k.unknown && receipt.Err.Outcome == core.OutcomeNotDone {
		refusal := *receipt.Err
		refusal.Outcome = core.OutcomeUnknown
		receipt.Err = &refusal
	}
	k.delivery.Answer(receipt)
}

// expired is an event that is given up while it waits, and why.
type expired struct {
	delivery Delivery
	refusal  *core.Refusal
}

// answerExpired gives events their final answers.
func (e *Edge) answerExpired(givenUp []expired) {
	if len(givenUp) == 0 {
		return
	}
	e.gaveUp(len(givenUp), givenUp[0].refusal)
	for _, g := range givenUp {
		g.delivery.Answer(core.Receipt{Err: g.refusal})
	}
}

// gaveUp counts and logs events that are not tried again.
func (e *Edge) gaveUp(events int, why *core.Refusal) {
	total := e.counts.GivenUp.Add(uint64(events))
	if e.options.Log == nil {
		return
	}
	e.giveUpNotice.Do(func() {
		e.options.Log.Warn("events were given up after retrying",
			"route", e.options.Route, "sink", e.target.name, "events", events, "so_far", total, "error", why)
	})
}

// tellGivenUp logs what was given up since the count was before: at the end of an
// edge, when nobody asks for its counts any more.
func (e *Edge) tellGivenUp(before uint64) {
	if events := e.counts.GivenUp.Load() - before; events > 0 && e.options.Log != nil {
		e.options.Log.Warn("the route was stopped, and events that were to be tried again were given up",
			"route", e.options.Route, "sink", e.target.name, "events", events)
	}
}
