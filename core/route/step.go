package route

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/pushbridge/bridge/core"
)

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

func (c *change) evicted(h *host) bool {
	return slices.ContainsFunc(c.steps, func(s *step) bool { return s.evicted && s.old == h })
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
