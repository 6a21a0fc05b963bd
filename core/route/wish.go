package route

import (
	"context"
	"fmt"

	"github.com/pushbridge/bridge/core/config"
)

// wish is what a route is to become.
type wish struct {
	file *config.RouteFile // nil: the one that runs
	// replace says which hosts get a successor although nothing has changed.
	replace func(*hostPlan) bool
	remove  bool
}

// over is what is wished when w comes while an earlier wish waits: nothing of that
// is lost but a file that there is a newer one for.
func (w wish) over(earlier *wish) wish {
	if earlier == nil {
		return w
	}
	if w.file == nil {
		w.file = earlier.file
	}
	switch one, other := w.replace, earlier.replace; {
	case one == nil:
		w.replace = other
	case other != nil:
		w.replace = func(h *hostPlan) bool { return one(h) || other(h) }
	}
	return w
}

// want has the route become what is wished, in a while. Routes.mu is held.
func (r *route) want(w wish) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w = w.over(r.wish)
	r.wish = &w
	if r.idle == nil {
		r.idle = make(chan struct{})
		go r.work()
	}
}

// changing is closed once nothing is wished any more; nil if nothing is now.
func (r *route) changing() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idle
}

// settled waits until nothing is wished any more, and reports false if ctx ends
// before.
func (r *route) settled(ctx context.Context) bool {
	changing := r.changing()
	if changing == nil {
		return true
	}
	select {
	case <-changing:
		return true
	case <-ctx.Done():
		return false
	}
}

// work does what is wished until nothing is. It ends early when the bridge stops,
// but for a removal, which nobody else does.
func (r *route) work() {
	for {
		w, ok := r.next()
		switch {
		case !ok:
			return
		case w.remove:
			r.remove()
		case w.file != nil: // else there is nothing left that could be replaced
			r.become(w)
		}
	}
}

func (r *route) next() (w wish, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wish == nil || r.routes.ctx.Err() != nil && !r.wish.remove {
		close(r.idle)
		r.idle = nil
		return wish{}, false
	}
	w, r.wish = *r.wish, nil
	if w.file == nil && r.plan != nil {
		w.file = r.plan.file
	}
	if w.file != nil {
		r.file = w.file
	}
	return w, true
}

// become changes the route to a wish, or leaves it as it is and says why.
func (r *route) become(w wish) {
	c := newChange(r, w)
	c.prepare(r.routes.ctx)
	c.claim()
	c.finish(r.routes.ctx)
}

// runs reports whether one of the hosts that run is such.
func (r *route) runs(such func(*hostPlan) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.plan == nil || r.removed {
		return false
	}
	for _, h := range r.plan.hosts {
		if such(h) {
			return true
		}
	}
	return false
}

// differs reports whether a file asks for something else than the one that was
// tried, or wished, last.
func (r *route) differs(file *config.RouteFile) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.file
	if r.wish != nil && r.wish.file != nil {
		last = r.wish.file
	}
	return last.Hash != file.Hash || last.Path != file.Path || fmt.Sprint(last.Findings) != fmt.Sprint(file.Findings)
}

// refused reports whether the last change did not take effect.
func (r *route) refused() bool {
	s := r.lastReload()
	return s != nil && !s.OK
}

// unblocked returns the file to try again if an address stood in its way that may
// be free now.
func (r *route) unblocked() (*config.RouteFile, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.blocked || r.removed || r.wish != nil {
		return nil, false
	}
	r.blocked = false
	return r.file, true
}

// block says whether an address that the route wants is taken.
func (r *route) block(blocked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blocked = blocked
}

// triedLast reports whether nothing else was wished since the file was tried.
func (r *route) triedLast(file *config.RouteFile) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file == file && r.wish == nil && !r.removed
}

// leave marks the route as one without a file; it reports whether it had one.
func (r *route) leave() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	had := !r.removed
	r.removed = true
	return had
}

func (r *route) isRemoved() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed
}
