package route

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
)

// State is where a route, or an instance of it, is in its life.
type State string

// The states. A route is as well off as its worst instance.
const (
	StateOpening    State = "opening"
	StateReady      State = "ready"
	StateDegraded   State = "degraded"    // at work, but its check says why not all is well
	StateBackingOff State = "backing off" // its process failed and is started again in a while
	StateFailed     State = "failed"      // nothing is tried any more until the file changes
	StateDraining   State = "draining"
	StateStopped    State = "stopped"
)

// rank orders states from good to bad.
func (s State) rank() int {
	for i, other := range []State{StateReady, StateDegraded, StateOpening, StateDraining, StateBackingOff, StateStopped, StateFailed} {
		if s == other {
			return i
		}
	}
	return -1
}

// Status is what can be said of a route now.
type Status struct {
	Route   string `json:"route"`
	File    string `json:"file"`
	State   State  `json:"state"`
	Problem string `json:"problem,omitempty"`
	// Generation counts the changes of the file that took effect.
	Generation int `json:"generation"`
	// Hash is of the content that runs, Reload the last attempt to change it.
	Hash      string           `json:"hash,omitempty"`
	Reload    *ReloadStatus    `json:"reload,omitempty"`
	Findings  config.Findings  `json:"findings,omitempty"`
	Instances []InstanceStatus `json:"instances,omitempty"`
	Edges     []EdgeStatus     `json:"edges,omitempty"`
	// Draining counts the earlier generations that are still at work.
	Draining int `json:"draining,omitempty"`
}

// ReloadStatus is what came of a change.
type ReloadStatus struct {
	Time  time.Time `json:"time"`
	OK    bool      `json:"ok"`
	Error string    `json:"error,omitempty"`
	// How says what it took: edges, reconfigured, replaced, started.
	How string `json:"how,omitempty"`
}

// InstanceStatus is what can be said of an instance now.
type InstanceStatus struct {
	Name      string         `json:"name"`
	Adapter   string         `json:"adapter"`
	Source    bool           `json:"source,omitempty"`
	Sink      bool           `json:"sink,omitempty"`
	State     State          `json:"state"`
	Problem   string         `json:"problem,omitempty"`
	Pid       int            `json:"pid,omitempty"`
	Restarts  int            `json:"restarts"`
	Addresses []core.Address `json:"addresses,omitempty"`
	// Listeners is how many listeners a sink has now, if it can tell.
	Listeners *int `json:"listeners,omitempty"`
}

// EdgeStatus is what can be said of an edge now: events since it was made.
type EdgeStatus struct {
	Target    string `json:"target"`
	Waiting   int    `json:"waiting"`
	Queued    uint64 `json:"queued"`
	Delivered uint64 `json:"delivered"`
	Refused   uint64 `json:"refused"`
	Dropped   uint64 `json:"dropped,omitempty"`
	Retried   uint64 `json:"retried,omitempty"`  // deliveries repeated
	GivenUp   uint64 `json:"given_up,omitempty"` // events that were tried again to no avail
}

// Status describes every route, in file order. It asks the sinks how many
// listeners they have and waits a second for that at most.
func (r *Routes) Status() []Status {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	routes := r.list()
	all := make([]Status, len(routes))
	var asking sync.WaitGroup
	for i, one := range routes {
		asking.Go(func() { all[i] = one.status(ctx) })
	}
	asking.Wait()
	return all
}

func (r *route) status(ctx context.Context) Status {
	r.mu.Lock()
	s := Status{
		Route: r.name, File: r.file.Path, Problem: r.problem, Generation: r.generation,
		Reload: r.reload, Findings: r.findings, Draining: len(r.drains),
	}
	now := r.running
	starting := now.plan == nil && (r.idle != nil || r.reload == nil)
	waiting := r.attempts > 0 && r.attempts <= r.routes.env.Supervision.GiveUp
	removed := r.removed
	r.mu.Unlock()
	if now.plan != nil {
		s.Hash = fmt.Sprintf("%x", now.plan.file.Hash[:6])
	}
	switch {
	case starting:
		s.State = StateOpening
	case now.plan == nil && waiting:
		s.State = StateBackingOff
	case now.plan == nil && s.Problem == "":
		s.State = StateStopped
	case now.plan == nil:
		s.State = StateFailed
	default:
		s.State = StateReady // a route may consist of uses alone
	}
	for _, h := range now.hosts {
		for _, i := range h.status() {
			s.Instances = append(s.Instances, i)
			s.State = worse(s.State, i.State)
		}
	}
	r.routes.countListeners(ctx, s.Instances)
	for _, e := range now.edges {
		s.Edges = append(s.Edges, edgeStatus(e))
	}
	if removed {
		s.State = StateDraining
	}
	return s
}

// countListeners asks those of the instances that take events.
func (r *Routes) countListeners(ctx context.Context, instances []InstanceStatus) {
	var asking sync.WaitGroup
	for n := range instances {
		i := &instances[n]
		asking.Go(func() { i.Listeners = r.generations.listeners(ctx, i.Name) })
	}
	asking.Wait()
}

func edgeStatus(e *bus.Edge) EdgeStatus {
	counts := e.Counts()
	return EdgeStatus{
		Target: e.Target().Name(), Waiting: e.Queued(), Queued: counts.Queued.Load(),
		Delivered: counts.Delivered.Load(), Refused: counts.Refused.Load(), Dropped: counts.Dropped.Load(),
		Retried: counts.Retried.Load(), GivenUp: counts.GivenUp.Load(),
	}
}

func worse(a, b State) State {
	if b.rank() > a.rank() {
		return b
	}
	return a
}

func (h *host) status() []InstanceStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	pid := 0
	if h.run != nil {
		pid = h.run.pid()
	}
	all := make([]InstanceStatus, 0, len(h.plan.members))
	for _, mp := range h.plan.members {
		s := InstanceStatus{
			Name: mp.instance.Name, Adapter: mp.instance.Adapter, Source: mp.source, Sink: mp.sink,
			State: h.state, Problem: h.problem, Pid: pid, Restarts: h.restarts, Addresses: h.bound(mp),
		}
		if problem := h.problems[s.Name]; problem != "" {
			s.Problem = problem
		} else if h.state == StateDegraded {
			s.State = StateReady // another instance of the process is not well
		}
		all = append(all, s)
	}
	return all
}

// bound are the addresses where an instance listens, with their real ports.
func (h *host) bound(mp *memberPlan) []core.Address {
	addresses := slices.Clone(mp.addresses)
	for i := range addresses {
		if socket := h.sockets[addresses[i].Listen]; socket != nil {
			addresses[i].Listen = socket.Bound()
		}
	}
	return addresses
}
