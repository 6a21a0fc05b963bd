package route

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
)

// State is where a route is in its life.
type State string

// The states.
const (
	StateOpening State = "opening"
	StateReady   State = "ready"
	StateFailed  State = "failed"
	StateStopped State = "stopped"
)

// Status is what can be said of a route now.
type Status struct {
	Route     string           `json:"route"`
	File      string           `json:"file"`
	State     State            `json:"state"`
	Problem   string           `json:"problem,omitempty"`
	Findings  config.Findings  `json:"findings,omitempty"`
	Instances []InstanceStatus `json:"instances,omitempty"`
}

// InstanceStatus is what can be said of an instance now.
type InstanceStatus struct {
	Name      string         `json:"name"`
	Adapter   string         `json:"adapter"`
	Source    bool           `json:"source,omitempty"`
	Sink      bool           `json:"sink,omitempty"`
	Pid       int            `json:"pid,omitempty"`
	Addresses []core.Address `json:"addresses,omitempty"`
}

// Routes runs files.
type Routes struct {
	env Environment

	mu     sync.Mutex
	routes []*route // in file order
	// watching counts the goroutines that wait for processes to end.
	watching sync.WaitGroup
}

// route is one file with what runs of it.
type route struct {
	file       *config.RouteFile
	generation *generation
	edges      []*bus.Edge
	state      State
	problem    string
}

// New returns Routes without any file.
func New(env Environment) *Routes { return &Routes{env: env} }

// startTimeout bounds one instance's Open or Start.
const startTimeout = 15 * time.Second

// Start starts the files, all at the same time, and returns when each is ready
// or has failed; [Routes.Status] says which. It is called once.
func (r *Routes) Start(ctx context.Context, files []*config.RouteFile) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var preparing sync.WaitGroup
	for _, file := range files {
		one := &route{file: file, state: StateOpening}
		r.routes = append(r.routes, one)
		if file.Findings.Failed() {
			one.fail("the file has errors")
			continue
		}
		preparing.Go(func() { one.generation = prepare(ctx, r.env, file) })
	}
	preparing.Wait()
	r.claimAddresses()
	var opening sync.WaitGroup
	for _, one := range r.routes {
		if one.state == StateOpening {
			opening.Go(func() { r.open(ctx, one) })
		}
	}
	opening.Wait()
}

// claimAddresses lets each route, in file order, claim its addresses, and fails
// those that cannot have them or have findings of their own.
func (r *Routes) claimAddresses() {
	var held []claim
	for _, one := range r.routes {
		if one.state != StateOpening {
			continue
		}
		p := one.generation.plan
		p.checkAddresses(held)
		one.file.Findings = append(one.file.Findings, p.findings...)
		if p.findings.Failed() {
			one.generation.close()
			one.generation = nil
			one.fail("the file has errors")
			continue
		}
		held = append(held, p.claims()...)
	}
}

// open opens and starts one route: its sinks, then its edges, then its sources.
func (r *Routes) open(ctx context.Context, one *route) {
	if err := r.tryOpen(ctx, one); err != nil {
		r.env.Log.Error("route failed to start", "route", one.file.Name, "error", err)
		r.takeDown(context.WithoutCancel(ctx), one, core.Refuse(core.CodeNotRunning, "route %q failed to start", one.file.Name))
		r.mu.Lock()
		one.fail(err.Error())
		r.mu.Unlock()
	}
}

func (r *Routes) tryOpen(ctx context.Context, one *route) error {
	g := one.generation
	if err := g.open(ctx, r.env); err != nil {
		return err
	}
	sinks, sources := g.members()
	if err := start(ctx, sinks); err != nil {
		return err
	}
	for _, m := range sinks {
		r.env.Bus.Target(m.instance.Name()).Run(m.instance.Info(), m.instance)
	}
	r.mu.Lock()
	for _, e := range g.plan.edges {
		one.edges = append(one.edges, bus.NewEdge(r.env.Bus.Target(e.target), e.options))
	}
	one.state = StateReady
	r.setTable()
	r.mu.Unlock()
	if err := start(ctx, sources); err != nil {
		return err
	}
	r.watch(one)
	return nil
}

// setTable makes the bus's table of the routes that are ready. It is called with
// the lock held.
func (r *Routes) setTable() {
	var table []bus.Route
	for _, one := range r.routes {
		if one.state == StateReady {
			table = append(table, one.busRoute())
		}
	}
	r.env.Bus.SetTable(bus.NewTable(table))
}

func (one *route) busRoute() bus.Route {
	route := bus.Route{Name: one.file.Name, Edges: one.edges}
	if one.file.Route.Ack != "" {
		route.Ack, _ = core.ParseAck(one.file.Route.Ack) // the schema allows no other
	}
	for _, inbound := range one.file.Route.Inbound {
		name := inbound.Name
		if inbound.Use != "" {
			name = inbound.Use
		}
		route.Sources = append(route.Sources, name)
	}
	return route
}

// watch fails the route when one of its processes ends by itself.
func (r *Routes) watch(one *route) {
	for _, h := range one.generation.hosts {
		if h.process == nil {
			continue
		}
		r.watching.Go(func() {
			<-h.process.Done()
			r.processEnded(one, h)
		})
	}
}

func (r *Routes) processEnded(one *route, h *host) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if one.state != StateReady {
		return
	}
	err := h.process.Err()
	r.env.Log.Error("a plugin ended", "route", one.file.Name, "error", err)
	one.problem = err.Error()
	for _, m := range h.members {
		if m.plan.sink {
			r.env.Bus.Target(m.instance.Name()).Refuse(core.RefuseRetry(core.CodeNotRunning, time.Second, "the plugin of %s ended", m.instance.Name()))
		}
	}
}

// Stop stops every route: sources first, then what is queued is delivered, then
// sinks send their listeners away and stop. What is not done when ctx ends is
// cut off.
func (r *Routes) Stop(ctx context.Context) error {
	r.mu.Lock()
	routes := r.routes
	r.mu.Unlock()
	errs := make([]error, len(routes))
	var stopping sync.WaitGroup
	for i, one := range routes {
		if one.generation != nil {
			stopping.Go(func() {
				errs[i] = r.takeDown(ctx, one, core.RefuseRetry(core.CodeNotRunning, time.Second, "the bridge is stopping"))
			})
		}
	}
	stopping.Wait()
	r.watching.Wait()
	return errors.Join(errs...)
}

// takeDown ends whatever runs of a route.
func (r *Routes) takeDown(ctx context.Context, one *route, refusal *core.Refusal) error {
	sinks, sources := one.generation.members()
	errs := []error{stop(ctx, sources)}
	r.mu.Lock()
	one.state = StateStopped
	r.setTable()
	r.mu.Unlock()
	for _, edge := range one.edges {
		edge.Close(ctx)
	}
	errs = append(errs, drain(ctx, sinks), stop(ctx, sinks))
	for _, m := range sinks {
		r.env.Bus.Target(m.instance.Name()).Refuse(refusal)
	}
	one.generation.close()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop route %s: %w", one.file.Name, err)
	}
	return nil
}

func (one *route) fail(problem string) {
	one.state, one.problem = StateFailed, problem
}

// Status describes every route, in file order.
func (r *Routes) Status() []Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Status, 0, len(r.routes))
	for _, one := range r.routes {
		all = append(all, one.status())
	}
	return all
}

func (one *route) status() Status {
	s := Status{Route: one.file.Name, File: one.file.Path, State: one.state, Problem: one.problem, Findings: one.file.Findings}
	if one.generation == nil {
		return s
	}
	for _, h := range one.generation.hosts {
		pid := 0
		if h.process != nil {
			pid = h.process.Pid()
		}
		for _, m := range h.members {
			s.Instances = append(s.Instances, InstanceStatus{
				Name: m.instance.Name(), Adapter: m.plan.instance.Adapter,
				Source: m.plan.source, Sink: m.plan.sink, Pid: pid, Addresses: m.plan.addresses,
			})
		}
	}
	return s
}
