package router

import (
	"context"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

// drainPace is the time between farewells of a Drain without a deadline.
const drainPace = 10 * time.Millisecond

// Drain sends away the sessions that there are, at an even pace until ctx ends. It
// returns when all are gone or ctx has ended. Publications go on, and so do new
// sessions: whoever still arrives finds a router, to be sent away by another Drain.
func (r *Router) Drain(ctx context.Context) {
	connections := r.current()
	pace := drainPace
	if deadline, limited := ctx.Deadline(); limited && len(connections) > 0 {
		// The last one still needs time to answer.
		pace = time.Until(deadline) * 9 / 10 / time.Duration(len(connections))
	}
	for n, c := range connections {
		if n > 0 && !sleep(ctx, pace) {
			return
		}
		if p := c.peer.Load(); p != nil {
			p.Goodbye(wamp.ErrSystemShutdown)
		}
	}
	for _, c := range connections {
		if !gone(ctx, c) {
			return
		}
	}
}

// current are the connections of this moment.
func (r *Router) current() []*connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	connections := make([]*connection, 0, len(r.connections))
	for c := range r.connections {
		connections = append(connections, c)
	}
	return connections
}

// gone waits until nothing of the connection runs any more, and reports false
// if ctx ended before.
func gone(ctx context.Context, c *connection) bool {
	p := c.peer.Load()
	if p == nil {
		return true
	}
	select {
	case <-p.Finished():
		return true
	case <-ctx.Done():
		return false
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

const (
	joiningPatience = 5 * time.Second  // for sessions that are about to join, when their connections are cut
	corePatience    = 10 * time.Second // for the core to close
	cutPatience     = 3 * time.Second  // for connections to be gone after that
)

// Close ends every session and the router. The bridge's own sessions must be
// closed before; nothing may be served any more. It waits for everything to be
// gone, not for longer than ctx and some seconds.
func (r *Router) Close(ctx context.Context) {
	r.mu.Lock()
	already := r.closed
	r.closed = true
	r.mu.Unlock()
	if already {
		return
	}
	for _, c := range r.current() {
		if p := c.peer.Load(); p != nil && c.grant.Load() == nil {
			p.End(peer.End{Code: peer.CloseGoingAway, Reason: "shutting down"})
		}
	}
	if !within(joiningPatience, r.attaching.Wait) {
		r.options.Log.Error("sessions that were about to join did not go away")
	}
	if !within(corePatience, r.core.Close) {
		r.options.Log.Error("the WAMP router did not close in time")
	}
	r.cut(ctx)
}

// within reports whether run returned in time. If not, its goroutine stays
// behind.
func within(patience time.Duration, run func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		run()
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// cut waits for connections to be gone, each of which has a second for its
// farewell, and cuts what is left when ctx ends.
func (r *Router) cut(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, cutPatience)
	defer cancel()
	for _, c := range r.current() {
		if gone(ctx, c) {
			continue
		}
		p := c.peer.Load()
		p.End(peer.End{Code: peer.CloseNow, Reason: "shutting down"})
		<-p.Finished()
	}
}
