package bus

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

// Bus carries publications along the table that is set now. Its methods may be
// called from any goroutine.
type Bus struct {
	ids   ids
	table atomic.Pointer[Table]

	mu      sync.Mutex
	targets map[string]*Target
}

// New returns a bus with an empty table.
func New() *Bus {
	b := &Bus{targets: make(map[string]*Target)}
	b.table.Store(NewTable(nil))
	return b
}

// Target returns the target of that name. Anybody may ask for one before an
// instance of the name exists; until then it refuses.
func (b *Bus) Target(name string) *Target {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.targets[name]
	if t == nil {
		t = newTarget(name)
		b.targets[name] = t
	}
	return t
}

// SetTable makes table the one that publications and calls follow. When it
// returns, no publication follows the old table any more, so edges that only the
// old one had can be closed.
func (b *Bus) SetTable(table *Table) {
	old := b.table.Swap(table)
	old.retire()
}

// Publication is what a source hands over: its events as frames. The slice is
// the caller's again when Publish returns.
type Publication struct {
	Frames []frame.Frame
	Ack    core.Ack
	NeedID bool
	// Arrived is when the publication reached the bridge; zero means now.
	Arrived time.Time
}

// Publish offers a publication of the named source to the edges of its routes.
// It never waits: reply gets the result once, before Publish returns or later
// from another goroutine. Publications of one source keep the order of the calls.
func (b *Bus) Publish(source string, p Publication, reply Reply) {
	table := b.enter()
	defer table.leave()
	lines := table.sources[source]
	if lines == nil {
		reply.send(Result{})
		return
	}
	if err := b.stamp(source, p); err != nil {
		reply.send(Result{Err: core.AsRefusal(err)})
		return
	}
	ack := max(p.Ack, lines.ack)
	if ack >= core.AckFirst || p.NeedID {
		lines.publishTracked(p, ack, reply)
		return
	}
	lines.publish(p, reply)
}

// enter returns the current table with this publication counted in.
func (b *Bus) enter() *Table {
	for {
		if table := b.table.Load(); table.enter() {
			return table
		}
	}
}

// stamp gives each frame its id, source, hop and time, in place. If one cannot
// be published, none is.
func (b *Bus) stamp(source string, p Publication) error {
	now, frames := p.Arrived, p.Frames
	if now.IsZero() {
		now = time.Now()
	}
	for i := range frames {
		stamped, err := frames[i].Stamp(b.ids.next(now), source, now)
		if err != nil {
			return err
		}
		frames[i] = stamped
	}
	return nil
}

// Call asks the sinks of the named source's routes that answer call.Op, at the
// same time, and returns their answers in file order, those with None left out.
// An error of one is the error of all.
func (b *Bus) Call(ctx context.Context, source string, call core.Call) ([]core.Answer, error) {
	table := b.enter()
	lines := table.sources[source]
	table.leave()
	if lines == nil {
		return nil, nil
	}
	targets := lines.answerers(call.Op)
	byTarget := make([][]core.Answer, len(targets))
	var asking sync.WaitGroup
	for i, target := range targets {
		asking.Go(func() { byTarget[i] = target.answer(ctx, call) })
	}
	asking.Wait()
	var answers []core.Answer
	for _, of := range byTarget {
		for _, answer := range of {
			if answer.Err != nil {
				return nil, answer.Err
			}
			if !answer.None {
				answers = append(answers, answer)
			}
		}
	}
	return answers, nil
}

// Ack is what the routes of the named source ask for when a publication leaves
// it to them.
func (b *Bus) Ack(source string) core.Ack {
	table := b.enter()
	defer table.leave()
	if lines := table.sources[source]; lines != nil {
		return lines.ack
	}
	return core.AckQueued
}
