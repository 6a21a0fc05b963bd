package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
)

// Routes runs the files of a folder. Its methods may be called from any goroutine.
type Routes struct {
	env         Environment
	generations *generations

	ctx    context.Context // lives until Stop; changes end with it
	cancel context.CancelFunc
	// cutOff ends what drains, when Stop's time is over.
	cut    context.Context
	cutOff context.CancelFunc

	retiring sync.WaitGroup // earlier generations that drain

	reloading sync.Mutex // one look at the folder at a time

	mu      sync.Mutex
	routes  []*route // in file order; those being removed too
	stopped bool
}

// New returns Routes without any file. The caller calls Stop.
func New(env Environment) *Routes {
	r := &Routes{env: env, generations: newGenerations(env.Bus)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.cut, r.cutOff = context.WithCancel(context.Background())
	return r
}

// drainContext ends when something that drains has had its time, or is to be cut off.
func (r *Routes) drainContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.cut, r.env.DrainTime)
}

// Start starts the files, all at the same time, and returns when each has been
// tried; [Routes.Status] says what came of it. Of two files that want one address
// the earlier gets it. It is called once; what is asked for meanwhile is done
// afterwards.
func (r *Routes) Start(files []*config.RouteFile) {
	changes := make([]*change, len(files))
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return
	}
	for i, file := range files {
		one := newRoute(r, file)
		one.idle = make(chan struct{}) // work closes it
		r.routes = append(r.routes, one)
		changes[i] = newChange(one, wish{file: file})
	}
	r.mu.Unlock()
	forChanges(changes, func(c *change) { c.prepare(r.ctx) })
	for _, c := range changes {
		c.claim()
	}
	forChanges(changes, func(c *change) {
		c.finish(r.ctx)
		c.route.work()
	})
}

func forChanges(changes []*change, do func(*change)) {
	var working sync.WaitGroup
	for _, c := range changes {
		working.Go(func() { do(c) })
	}
	working.Wait()
}

// Reload reads the folder, gives every route whose file is another its new file,
// and returns when each has changed or refused to, or ctx has ended; then it
// describes every route. What was refused before is tried again, since its reason
// may lie outside of the file. A folder that cannot be read changes nothing.
func (r *Routes) Reload(ctx context.Context) []Status {
	r.rescan(true)
	r.settled(ctx)
	return r.Status()
}

// settled waits until no route changes any more, or ctx ends. A route that ends may
// let others begin, so it looks again after each.
func (r *Routes) settled(ctx context.Context) {
	for {
		routes := r.list()
		at := slices.IndexFunc(routes, func(one *route) bool { return one.changing() != nil })
		if at < 0 || !routes[at].settled(ctx) {
			return
		}
	}
}

// rescan reads the folder and tells the routes what is wished of them, those that
// refused their last change too if refused is true. It does not wait for them.
func (r *Routes) rescan(refused bool) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	files, err := config.ReadFolder(r.env.ConfDir, r.env.Variables)
	if err != nil {
		r.env.Log.Error("the folder of routes cannot be read; everything goes on as it was", "error", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	paths := make(map[string]bool)
	for _, file := range files {
		paths[file.Path] = true
	}
	present := make(map[*route]bool)
	for _, file := range files {
		one := r.find(file, paths)
		if one == nil {
			one = newRoute(r, file)
			r.routes = append(r.routes, one)
			one.want(wish{file: file})
		} else if one.differs(file) || refused && one.refused() {
			one.want(wish{file: file})
		}
		present[one] = true
	}
	for _, one := range r.routes {
		if !present[one] && one.leave() {
			one.want(wish{remove: true})
		}
	}
	slices.SortStableFunc(r.routes, func(a, b *route) int { return cmp.Compare(a.path(), b.path()) })
}

// find is the route that a file is of: the one that had it, or had a file of the
// same name that is not there any more. The lock is held.
func (r *Routes) find(file *config.RouteFile, paths map[string]bool) *route {
	var renamed *route
	for _, one := range r.routes {
		switch {
		case one.isRemoved() || one.name != file.Name:
		case one.path() == file.Path:
			return one
		case !paths[one.path()]:
			renamed = one
		}
	}
	return renamed
}

// Restart gives the processes of a plugin successors, and returns the names of
// the routes that have some once they are done. The error says that there is none,
// or what a route answered.
func (r *Routes) Restart(ctx context.Context, plugin string) ([]string, error) {
	concerned := r.replace(func(h *hostPlan) bool { return !h.inProcess && h.executable.Plugin == plugin })
	if len(concerned) == 0 {
		return nil, fmt.Errorf("no route runs a plugin %q; `bridge status` shows what runs", plugin)
	}
	names := make([]string, len(concerned))
	var errs []error
	for i, one := range concerned {
		names[i] = one.name
		if !one.settled(ctx) {
			errs = append(errs, fmt.Errorf("route %s: %w", one.name, context.Cause(ctx)))
		} else if s := one.lastReload(); s != nil && !s.OK {
			errs = append(errs, fmt.Errorf("route %s: %s", one.name, s.Error))
		}
	}
	return names, errors.Join(errs...)
}

// replace has the hosts that are such replaced, and returns their routes.
func (r *Routes) replace(such func(*hostPlan) bool) []*route {
	r.mu.Lock()
	defer r.mu.Unlock()
	var concerned []*route
	for _, one := range r.routes {
		if !r.stopped && one.runs(such) {
			concerned = append(concerned, one)
			one.want(wish{replace: such})
		}
	}
	return concerned
}

// claim takes the addresses of a plan for a route, or adds to its findings who has
// them.
func (r *Routes) claim(one *route, p *plan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var held []claim
	for _, other := range r.routes {
		if other == one {
			continue
		}
		for _, claimed := range other.claimed {
			held = append(held, claimed.claims()...)
		}
	}
	p.checkAddresses(held)
	if !p.findings.Failed() {
		one.claimed = append(one.claimed, p)
	}
	one.block(p.blocked)
}

// release leaves a route only the addresses of what it runs. Routes that wanted
// one of the others try again.
func (r *Routes) release(one *route, runs *plan) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var before []string
	for _, p := range one.claimed {
		before = append(before, p.listens()...)
	}
	var after []string
	one.claimed = nil
	if runs != nil {
		one.claimed = []*plan{runs}
		after = runs.listens()
	}
	freed := slices.ContainsFunc(before, func(address string) bool { return !slices.Contains(after, address) })
	if !freed || r.stopped {
		return
	}
	for _, other := range r.routes {
		if file, ok := other.unblocked(); ok && other != one {
			other.want(wish{file: file})
		}
	}
}

// again has a route try once more what was wished, unless it was given another
// file.
func (r *Routes) again(one *route, w wish) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped && one.triedLast(w.file) {
		one.want(w)
	}
}

// forget takes a route off the list.
func (r *Routes) forget(one *route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.routes = slices.DeleteFunc(r.routes, func(other *route) bool { return other == one })
}

// setTable makes the bus's table of what runs.
func (r *Routes) setTable() {
	r.mu.Lock()
	defer r.mu.Unlock()
	var table []bus.Route
	for _, one := range r.routes {
		table = append(table, one.busRoutes()...)
	}
	r.env.Bus.SetTable(bus.NewTable(table))
}

func (r *Routes) list() []*route {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.routes)
}

// Stop stops every route: sources first, then what is queued is delivered, then
// sinks send their listeners away and stop. What is not done when ctx ends is cut
// off.
func (r *Routes) Stop(ctx context.Context) error {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.cancel()
	ended := context.AfterFunc(ctx, r.cutOff)
	defer ended()
	staying := slices.DeleteFunc(r.list(), (*route).isRemoved) // the others end by themselves
	for _, one := range staying {
		one.settled(context.Background()) // soon, since r.ctx has ended
	}
	err := r.takeDown(ctx, staying, core.RefuseRetry(core.CodeNotRunning, time.Second, "the bridge is stopping"))
	r.settled(context.Background())
	r.retiring.Wait()
	r.cutOff()
	return err
}
