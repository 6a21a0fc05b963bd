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

// enter returns the current table with this publication counted in.
func (b *Bus) enter() *Table {
	for {
		if table := b.table.Load(); table.enter() {
			return table
		}
	}
}

// stamp gives the events of publications their ids, source, hop and time, in
// place. A publication with an event that cannot be published is refused.
func (b *Bus) stamp(source string, batch []Publication, arrived time.Time) {
	events, bytes := 0, 0
	for i := range batch {
		for _, f := range batch[i].Frames {
			events, bytes = events+1, bytes+f.Len()
		}
	}
	stamper := frame.NewStamper(source, arrived, events, bytes, b.ids.reserve(arrived, events).next)
	for i := range batch {
		p := &batch[i]
		for n := 0; n < len(p.Frames) && p.Refusal == nil; n++ {
			stamped, err := stamper.Stamp(p.Frames[n])
			if err != nil {
				p.Refusal = core.AsRefusal(err)
			}
			p.Frames[n] = stamped
		}
	}
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
