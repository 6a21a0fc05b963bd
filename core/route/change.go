package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
)

// change is the way from what runs of a route to what a file says. What fails on
// it leaves the route as it was.
type change struct {
	route  *route
	file   *config.RouteFile
	wish   wish
	before running
	plan   *plan // nil if the file cannot be understood
	steps  []*step
	// first says that nothing of the route runs. Then a process that does not
	// come up is no reason to go back: it is tried again.
	first bool
	// unreached is why an adapter could not be asked. That is no fault of the file
	// and may pass.
	unreached error
}

// step is what becomes of one host of the plan.
type step struct {
	plan *hostPlan
	old  *host // that runs in its place now; nil: none
	how  how
	// host is what runs it afterwards: old itself, or a new one.
	host    *host
	run     *run      // of the new host, if it was started already to be asked
	before  *hostPlan // of an old one that has been reconfigured
	evicted bool      // old had to go first, because its plugin binds by itself
	failure error     // of a first start
}

// how a host gets from its old plan to the new.
type how uint8

const (
	kept how = iota
	reconfigured
	replaced
	started
)

func newChange(r *route, w wish) *change {
	return &change{route: r, file: w.file, wish: w, before: r.running, first: r.plan == nil}
}

func (c *change) env() Environment { return c.route.routes.env }

// prepare plans the file and asks its adapters about it.
func (c *change) prepare(ctx context.Context) {
	if c.file.Findings.Failed() {
		return
	}
	c.plan = newPlan(c.file, c.env().Registry)
	for _, hp := range c.plan.hosts {
		c.steps = append(c.steps, c.step(hp))
	}
	var mu sync.Mutex // guards the plan's findings
	var asking sync.WaitGroup
	for _, s := range c.steps {
		asking.Go(func() {
			err := c.reach(ctx, s)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				err = c.plan.ask(ctx, c.env().Supervision.StartTimeout, s.plan, c.adapters(s))
			}
			if err != nil {
				c.unreached = errors.Join(c.unreached, err)
			}
		})
	}
	asking.Wait()
	c.plan.findings.Sort()
}

// step finds what runs in the place of a host now.
func (c *change) step(hp *hostPlan) *step {
	s := &step{plan: hp, how: started}
	for _, h := range c.route.hosts {
		if !sameHost(h.current(), hp) {
			continue
		}
		s.old, s.how = h, kept
		if upgraded(h.current(), hp) || c.wish.replace != nil && c.wish.replace(hp) {
			s.how = replaced
		}
	}
	return s
}

// reach makes sure that the host's adapters can be asked: those of the process
// that runs, or of a new one where that has to be another or does not run.
func (c *change) reach(ctx context.Context, s *step) error {
	if s.how == kept && s.old.running() != nil {
		return nil
	}
	s.host = newHost(c.env(), c.route.log, c.route.routes.generations, s.plan)
	var err error
	s.run, err = startRun(ctx, c.env(), c.route.log, s.plan, s.host.descriptor)
	return err
}

func (c *change) adapters(s *step) adapters {
	if s.run != nil {
		return s.run.adapters(c.env().Registry)
	}
	if r := s.old.running(); r != nil {
		return r.adapters(c.env().Registry)
	}
	return died{s.plan.executable.Plugin}
}

// died is asked when a process has ended in the meantime.
type died struct{ plugin string }

func (d died) Describe(context.Context) ([]core.Info, error) {
	return nil, fmt.Errorf("the plugin %s ended while it was asked", d.plugin)
}

func (d died) Validate(context.Context, string, []byte) (core.Validation, error) {
	return core.Validation{}, fmt.Errorf("the plugin %s ended while it was asked", d.plugin)
}

// claim takes the addresses of the plan, or adds to its findings who has them.
func (c *change) claim() {
	if c.plan != nil && c.unreached == nil && !c.plan.findings.Failed() {
		c.route.routes.claim(c.route, c.plan)
	}
}

// findings are all that is to be said of the file.
func (c *change) findings() config.Findings {
	all := slices.Clone(c.file.Findings)
	if c.plan != nil {
		all = append(all, c.plan.findings...)
	}
	all.Sort()
	return all
}

// finish applies the change, gives back what it does not need, and notes what came
// of it.
func (c *change) finish(ctx context.Context) {
	how, err := c.apply(ctx)
	c.end()
	c.route.done(c, how, err)
}

// apply makes the route the plan. It says how, in words: "" if there was nothing to
// do.
func (c *change) apply(ctx context.Context) (string, error) {
	for _, finding := range c.findings() {
		if finding.Severity == core.SeverityError {
			return "", fmt.Errorf("the file has errors, the first at %d:%d: %s", finding.Line, finding.Column, finding.Message)
		}
	}
	if c.unreached != nil {
		return "", c.unreached
	}
	c.decide()
	if err := c.reconfigure(ctx); err != nil {
		c.undo(ctx)
		return "", err
	}
	if err := c.up(ctx); err != nil {
		c.undo(ctx)
		return "", err
	}
	edges := c.makeEdges()
	c.announce(edges)
	if err := c.serve(ctx); err != nil {
		c.withdraw(edges)
		c.undo(ctx)
		return "", err
	}
	c.commit(edges)
	c.settle()
	return c.words(), nil
}

// decide compares the hosts that go on with what they are to be.
func (c *change) decide() {
	for _, s := range c.steps {
		if s.how != kept {
			continue
		}
		switch old := s.old.current(); {
		case !sameShape(old, s.plan):
			s.how = replaced
		case !sameConfigs(old, s.plan):
			s.how = reconfigured
		}
	}
}

// reconfigure changes hosts in place; those that cannot are replaced.
func (c *change) reconfigure(ctx context.Context) error {
	for _, s := range c.steps {
		if s.how != reconfigured {
			continue
		}
		before := s.old.current()
		err := s.old.reconfigure(ctx, s.plan)
		switch {
		case err == nil:
			s.before, s.host = before, s.old
		case errors.Is(err, core.ErrRestart):
			s.how = replaced
		default:
			return err
		}
	}
	return nil
}

// up opens the new hosts and starts their sinks beside the old.
func (c *change) up(ctx context.Context) error {
	errs := make([]error, len(c.steps))
	var working sync.WaitGroup
	for i, s := range c.steps {
		if s.how == replaced || s.how == started {
			working.Go(func() { errs[i] = c.upHost(ctx, s) })
		}
	}
	working.Wait()
	return errors.Join(errs...)
}

func (c *change) upHost(ctx context.Context, s *step) error {
	if s.run == nil {
		s.host = newHost(c.env(), c.route.log, c.route.routes.generations, s.plan)
	}
	if s.old != nil && s.conflicts() {
		c.evict(s)
	}
	if s.old == nil {
		s.host.absent(nil) // events of other files need not be refused for the moment
	}
	r := s.run
	s.run = nil // up takes it over
	err := s.host.up(ctx, r)
	if c.first {
		s.failure = err
		return nil
	}
	return err
}

// conflicts reports whether old must be gone before the new host comes up: one of
// the two has its addresses for itself.
func (s *step) conflicts() bool {
	return (s.run.bindsItself() || s.old.running().bindsItself()) && len(s.old.current().listens()) > 0
}

// evict ends the host that conflicts. Events for its instances wait meanwhile.
func (c *change) evict(s *step) {
	s.evicted = true
	ctx, cancel := c.route.routes.drainContext()
	defer cancel()
	hosts := []*host{s.old}
	sources := retireSources(ctx, hosts, nil)
	sinks := retireSinks(ctx, hosts, closeEdges(ctx, nil), nil)
	if err := errors.Join(sources, sinks); err != nil {
		c.route.log.Warn("ending the earlier generation", "error", err)
	}
}

// serve starts the sources of the new hosts.
func (c *change) serve(ctx context.Context) error {
	for _, s := range c.steps {
		if s.how != replaced && s.how != started || s.failure != nil {
			continue
		}
		err := s.host.serve(ctx)
		if err != nil && !c.first {
			return err
		}
		s.failure = err
	}
	return nil
}

// announce leads what new sources publish along the edges to come, before they
// start. Those that were there, here or in other files, keep to the edges that they
// have until it is certain that the change takes effect.
func (c *change) announce(edges []*bus.Edge) {
	coming := c.plan.busRoute(edges)
	coming.Sources = without(c.plan.ownSources(), c.before.plan.ownSources())
	c.route.announce(&coming)
}

// withdraw ends edges that nothing which goes on has published to.
func (c *change) withdraw(edges []*bus.Edge) {
	c.route.announce(nil)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	closeEdges(gone, without(edges, c.before.edges))
}

// commit makes the plan the route's and leads events along its edges.
func (c *change) commit(edges []*bus.Edge) {
	hosts := make([]*host, 0, len(c.steps))
	for _, s := range c.steps {
		if s.how == kept {
			s.host = s.old
		}
		hosts = append(hosts, s.host)
	}
	c.route.set(running{c.plan, hosts, edges})
}

// makeEdges keeps the edges that are as before, with what they have queued; others
// that lead to the same target come after the old ones.
func (c *change) makeEdges() []*bus.Edge {
	before := c.before
	var edges []*bus.Edge
	taken := make(map[*bus.Edge]bool)
	find := func(same func(n int) bool) *bus.Edge {
		for n, edge := range before.edges {
			if !taken[edge] && same(n) {
				taken[edge] = true
				return edge
			}
		}
		return nil
	}
	kept := make([]*bus.Edge, len(c.plan.edges))
	for i, planned := range c.plan.edges {
		kept[i] = find(func(n int) bool {
			return before.plan.edges[n].target == planned.target && before.plan.edges[n].written == planned.written
		})
	}
	for i, planned := range c.plan.edges {
		edge := kept[i]
		if edge == nil {
			options := planned.options
			options.After = find(func(n int) bool { return before.plan.edges[n].target == planned.target })
			edge = bus.NewEdge(c.env().Bus.Target(planned.target), options)
		}
		edges = append(edges, edge)
	}
	return edges
}

// without are the elements of all that are not among others.
func without[E comparable](all, others []E) []E {
	return slices.DeleteFunc(slices.Clone(all), func(e E) bool { return slices.Contains(others, e) })
}

// settle has the new hosts supervised and retires what is left of the old, in the
// background.
func (c *change) settle() {
	now := c.route.running
	var old []*host
	for _, h := range without(c.before.hosts, now.hosts) {
		h.cancel() // else one that waits for its next start would come between
		if !c.evicted(h) {
			old = append(old, h)
		}
	}
	for _, s := range c.steps {
		switch s.how {
		case replaced, started:
			go s.host.supervise(s.failure)
		case kept:
			s.old.goOn(s.plan)
		}
	}
	if edges := without(c.before.edges, now.edges); len(old)+len(edges) > 0 {
		c.route.retireLater(old, edges)
	}
}

func (c *change) evicted(h *host) bool {
	return slices.ContainsFunc(c.steps, func(s *step) bool { return s.evicted && s.old == h })
}

// undo takes back what a change has done: new hosts end, reconfigured ones get
// their old configuration, those that had to go first come back.
func (c *change) undo(ctx context.Context) {
	for _, s := range c.steps {
		if s.before != nil {
			if err := s.old.restore(ctx, s.before); err != nil {
				c.route.log.Error("an instance did not take its earlier configuration back", "error", err)
			}
		}
		if (s.how == replaced || s.how == started) && s.host != nil {
			s.host.discard()
			if s.old == nil {
				s.host.absent(core.RefuseRetry(core.CodeNotRunning, time.Second, "it failed to start"))
			}
		}
		if s.evicted {
			c.revive(ctx, s)
		}
	}
}

// revive starts a host again that had to go first.
func (c *change) revive(ctx context.Context, s *step) {
	h := newHost(c.env(), c.route.log, c.route.routes.generations, s.old.current())
	err := h.up(ctx, nil)
	if err == nil {
		err = h.serve(ctx)
	}
	go h.supervise(err)
	now := c.route.running
	now.hosts = slices.Clone(now.hosts)
	now.hosts[slices.Index(now.hosts, s.old)] = h
	c.route.set(now)
}

// end ends the processes that were started and not needed.
func (c *change) end() {
	for _, s := range c.steps {
		if s.run != nil {
			s.run.close()
		}
	}
	c.route.routes.release(c.route, c.route.plan)
}

// words say what a change took.
func (c *change) words() string {
	before := c.before
	var words []string
	for _, s := range c.steps {
		if verb := [...]string{reconfigured: "reconfigured", replaced: "replaced", started: "started"}[s.how]; verb != "" {
			words = append(words, verb+" "+s.plan.names())
		}
	}
	for _, h := range before.hosts {
		if !slices.ContainsFunc(c.steps, func(s *step) bool { return s.old == h }) {
			words = append(words, "removed "+h.current().names())
		}
	}
	if !slices.Equal(before.edges, c.route.edges) || before.plan != nil && before.plan.file.Route.Ack != c.file.Route.Ack {
		words = append(words, "edges")
	}
	return strings.Join(words, "; ")
}

// logFindings puts what is to be said of the file into the log.
func (c *change) logFindings() {
	for _, finding := range c.findings() {
		level := slog.LevelWarn
		if finding.Severity == core.SeverityError {
			level = slog.LevelError
		}
		c.route.log.Log(context.Background(), level, finding.Message, "at", fmt.Sprintf("%s:%d:%d", finding.File, finding.Line, finding.Column))
	}
}
