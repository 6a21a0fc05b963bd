package route

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
)

// askPatience is how long a sink may take to count its listeners.
const askPatience = time.Second

// generations are the instances that stand behind each target now: mostly one of
// a name, more while one takes another's place.
type generations struct {
	bus *bus.Bus

	mu     sync.Mutex
	byName map[string][]opened // newest first
}

func newGenerations(b *bus.Bus) *generations {
	return &generations{bus: b, byName: make(map[string][]opened)}
}

// join lets events go to an instance that is not started yet, if it has listeners
// of its own and takes the place of another: else it would miss some for those that
// are there the moment it accepts them. The other takes the events too, so none is
// lost if the new one does not start.
func (g *generations) join(i opened) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i.Info().Scope == core.ScopeEveryNode && len(g.byName[i.Name()]) > 0 {
		g.put(i)
	}
}

// add lets events go to an instance that is started, if it takes any.
func (g *generations) add(i opened) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.put(i)
}

func (g *generations) put(i opened) {
	if !i.Info().Sink || slices.Contains(g.byName[i.Name()], i) {
		return
	}
	g.byName[i.Name()] = append([]opened{i}, g.byName[i.Name()]...)
	g.run(i.Name())
}

// remove lets no events go to an instance any more. If it was the last of its
// name, events wait, or are refused if refusal is not nil.
func (g *generations) remove(i opened, refusal *core.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name := i.Name()
	left := slices.DeleteFunc(slices.Clone(g.byName[name]), func(other opened) bool { return other == i })
	if len(left) == len(g.byName[name]) {
		return
	}
	g.byName[name] = left
	if len(left) > 0 {
		g.run(name)
		return
	}
	delete(g.byName, name)
	g.leave(name, refusal)
}

// absent says what becomes of events for a name that no instance has now.
func (g *generations) absent(name string, refusal *core.Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.byName[name]) == 0 {
		g.leave(name, refusal)
	}
}

func (g *generations) leave(name string, refusal *core.Refusal) {
	if refusal == nil {
		g.bus.Target(name).Hold()
		return
	}
	g.bus.Target(name).Refuse(refusal)
}

// run puts the instances of a name behind its target. Where one delivers for all,
// that is the newest.
func (g *generations) run(name string) {
	all := g.byName[name]
	info := all[0].Info()
	if info.Scope == core.ScopeOnce {
		all = all[:1]
	}
	sinks := make([]bus.Sink, len(all))
	for n, i := range all {
		sinks[n] = i
	}
	g.bus.Target(name).Run(info, sinks...)
}

// listeners counts those of all generations of an instance; nil if they cannot
// tell, or do not before ctx ends.
func (g *generations) listeners(ctx context.Context, name string) *int {
	g.mu.Lock()
	all := slices.Clone(g.byName[name])
	g.mu.Unlock()
	if len(all) == 0 || !slices.Contains(all[0].Info().Calls, core.OpListenersCount) {
		return nil
	}
	answers := make(chan core.Answer, len(all)) // one of each, whether or not it comes in time
	for _, i := range all {
		go func() { answers <- i.Answer(ctx, core.Call{Op: core.OpListenersCount}) }()
	}
	given := make([]core.Answer, 0, len(all))
	for range all {
		select {
		case answer := <-answers:
			if !answer.None {
				given = append(given, answer)
			}
		case <-ctx.Done():
			return nil
		}
	}
	counted, err := core.MergeListeners(given)
	if err != nil || len(given) == 0 {
		return nil
	}
	return &counted.Connections
}
