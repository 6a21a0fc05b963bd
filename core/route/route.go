package route

import (
	"log/slog"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
)

// route is one file with what runs of it. It changes in one goroutine at a time:
// that of Start or Stop, or its own (work), which does what is wished (wish.go).
type route struct {
	routes *Routes
	name   string
	log    *slog.Logger

	// What runs. It is written with mu held, by who changes the route, who may
	// read it without.
	running

	// drains has a token for each earlier generation that is still at work, of
	// which there may be as many as it has room for.
	drains chan struct{}

	mu sync.Mutex // guards what follows, and the reading of what stands above
	// coming is where sources go that a change is about to start; nil: there are
	// none.
	coming     *bus.Route
	file       *config.RouteFile // that was tried last
	findings   config.Findings   // of the last attempt
	claimed    []*plan           // whose addresses are the route's; guarded by Routes.mu
	blocked    bool              // an address that it wants was taken
	generation int
	reload     *ReloadStatus
	problem    string // why nothing runs
	removed    bool
	wish       *wish
	attempts   int           // in a row that did not reach the adapters
	retry      *time.Timer   // for the next of them
	idle       chan struct{} // closed when all wishes are done; nil if there are none
}

// running is what runs of a route.
type running struct {
	plan  *plan // nil: nothing
	hosts []*host
	edges []*bus.Edge // those of plan, in its order
}

// maxDrains bounds the generations of a route that are at work at the same time,
// each of which takes all of its events.
const maxDrains = 3

func newRoute(r *Routes, file *config.RouteFile) *route {
	return &route{
		routes: r, name: file.Name, file: file, log: r.env.Log.With("route", file.Name),
		drains: make(chan struct{}, maxDrains),
	}
}

// now is what runs of the route.
func (r *route) now() running {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.running
}

// set makes now what runs of the route, and the bus follow it.
func (r *route) set(now running) {
	r.mu.Lock()
	r.running, r.coming = now, nil
	r.mu.Unlock()
	r.routes.setTable()
}

// announce leads the events of sources that are about to start; nil ends that.
func (r *route) announce(coming *bus.Route) {
	r.mu.Lock()
	r.coming = coming
	r.mu.Unlock()
	r.routes.setTable()
}

func (r *route) dropEdges() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.edges = nil
}

func (r *route) dropHosts() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = running{}
	if r.retry != nil {
		r.retry.Stop()
	}
}

// busRoutes are the route for the bus's table; none if nothing runs.
func (r *route) busRoutes() []bus.Route {
	r.mu.Lock()
	defer r.mu.Unlock()
	var routes []bus.Route
	if r.plan != nil {
		routes = append(routes, r.plan.busRoute(r.edges))
	}
	if r.coming != nil {
		routes = append(routes, *r.coming)
	}
	return routes
}

// done notes what came of a change.
func (r *route) done(c *change, how string, err error) {
	r.mu.Lock()
	r.findings = c.findings()
	first := c.first
	status := &ReloadStatus{Time: time.Now(), OK: err == nil, How: how}
	switch {
	case err != nil:
		status.Error = err.Error()
		if r.plan == nil {
			r.problem = status.Error
		}
	case how == "" && !first:
		if r.reload.OK {
			status = r.reload // nothing had changed
		}
	default:
		r.generation++
		r.problem = ""
	}
	r.reload = status
	r.tryAgain(c)
	r.mu.Unlock()
	switch {
	case err != nil && first:
		r.log.Error("route failed to start", "error", err)
	case err != nil:
		r.log.Error("the change of a route was refused; it goes on as it was", "error", err)
	case how != "" && !first:
		r.log.Info("route changed", "how", how)
	}
	c.logFindings()
}

// tryAgain has a change repeated, after a while, that failed because an adapter
// could not be asked: its process may have died over something else. The lock is
// held.
func (r *route) tryAgain(c *change) {
	if r.retry != nil {
		r.retry.Stop()
	}
	if c.unreached == nil {
		r.attempts = 0
		return
	}
	r.attempts++
	supervision := r.routes.env.Supervision
	if r.attempts > supervision.GiveUp {
		return
	}
	r.retry = time.AfterFunc(supervision.delay(r.attempts), func() { r.routes.again(r, c.wish) })
}

// remove ends what runs of the route and takes it off the list.
func (r *route) remove() {
	r.log.Info("route removed")
	ctx, cancel := r.routes.drainContext()
	defer cancel()
	gone := core.RefuseRetry(core.CodeNotRunning, time.Second, "the route %q was removed", r.name)
	if err := r.routes.takeDown(ctx, []*route{r}, gone); err != nil {
		r.log.Warn("removing a route", "error", err)
	}
	r.routes.release(r, nil)
	r.routes.forget(r)
}

// watched are the files that the route is made of, besides its own.
func (r *route) watched() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	paths := append([]string(nil), r.file.Files...)
	if r.plan != nil {
		for _, h := range r.plan.hosts {
			if !h.inProcess && !h.executable.Bundled {
				paths = append(paths, h.executable.Path)
			}
		}
	}
	return paths
}

func (r *route) path() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.Path
}

func (r *route) lastReload() *ReloadStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reload
}
