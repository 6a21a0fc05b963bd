package route

import (
	"context"
	"errors"
	"sync"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
)

// What is not needed any more ends in the order that loses nothing: sources
// finish, edges deliver what they have, sinks send their listeners away.

// takeDown ends whatever runs of routes that do not change meanwhile, all of them
// step by step together: one may have events for another's sinks. What is not done
// when ctx ends is cut off. Events that come afterwards get refusal.
func (r *Routes) takeDown(ctx context.Context, routes []*route, refusal *core.Refusal) error {
	var hosts []*host
	var edges []*bus.Edge
	for _, one := range routes {
		now := one.now()
		hosts, edges = append(hosts, now.hosts...), append(edges, now.edges...)
	}
	sources := retireSources(ctx, hosts, refusal)
	for _, one := range routes {
		one.dropEdges()
	}
	r.setTable()
	sinks := retireSinks(ctx, hosts, closeEdges(ctx, edges), refusal)
	for _, one := range routes {
		one.dropHosts()
	}
	return errors.Join(sources, sinks)
}

// retireLater retires earlier generations in the background; the edges are out of
// the table. It waits while too many generations are at work already.
func (r *route) retireLater(hosts []*host, edges []*bus.Edge) {
	edgesCtx, edgesDone := r.routes.drainContext()
	closed := closeEdges(edgesCtx, edges) // at once: their successors wait for them
	release := r.awaitDrain(hosts)
	r.routes.retiring.Go(func() {
		defer edgesDone()
		defer release()
		ctx, cancel := r.routes.drainContext()
		defer cancel()
		gone := core.RefuseRetry(core.CodeNotRunning, 0, "its route has no such instance any more")
		err := retireSources(ctx, hosts, gone)
		if err = errors.Join(err, retireSinks(ctx, hosts, closed, gone)); err != nil {
			r.log.Warn("ending the earlier generation", "error", err)
		}
	})
}

// awaitDrain waits until one more generation may be at work; the caller calls
// release when it has ended. When the bridge stops there will be no more of them.
func (r *route) awaitDrain(hosts []*host) (release func()) {
	if len(hosts) == 0 {
		return func() {}
	}
	select {
	case r.drains <- struct{}{}:
		return func() { <-r.drains }
	case <-r.routes.ctx.Done():
		return func() {}
	}
}

// retireSources ends the supervision of hosts and their sources.
func retireSources(ctx context.Context, hosts []*host, refusal *core.Refusal) error {
	return forHosts(hosts, func(h *host) error {
		h.end()
		return h.retireSources(ctx, refusal)
	})
}

// retireSinks ends the sinks of hosts once the edges that lead to them are closed,
// and the hosts.
func retireSinks(ctx context.Context, hosts []*host, closed <-chan struct{}, refusal *core.Refusal) error {
	returned(ctx, closed)
	err := forHosts(hosts, func(h *host) error { return h.retireSinks(ctx, refusal) })
	returned(ctx, closed) // an edge whose sink hung is free only now
	return err
}

// closeEdges has edges that are out of the table deliver what they have until ctx
// ends. closed is closed when all of them have ended: that may take longer, as long
// as a sink keeps one in Deliver.
func closeEdges(ctx context.Context, edges []*bus.Edge) (closed <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var closing sync.WaitGroup
		for _, edge := range edges {
			closing.Go(func() { edge.Close(ctx) })
		}
		closing.Wait()
	}()
	return done
}

func forHosts(hosts []*host, do func(*host) error) error {
	errs := make([]error, len(hosts))
	var working sync.WaitGroup
	for i, h := range hosts {
		working.Go(func() { errs[i] = do(h) })
	}
	working.Wait()
	return errors.Join(errs...)
}
