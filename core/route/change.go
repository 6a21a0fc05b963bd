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
