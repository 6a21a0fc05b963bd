// Package gate is for adapters that must know, when they stop, whether anything of
// theirs is still under way: deliveries that were let in, events without an answer.
package gate

import (
	"context"
	"sync"
)

// Gate counts what is inside, lets somebody wait until nothing is, and lets nothing
// in any more once it is closed. The zero Gate is open and empty. Its methods may
// be called from any goroutine.
type Gate struct {
	mu     sync.Mutex
	inside int
	closed bool
	empty  chan struct{} // set while somebody waits; closed when nothing is inside
}

// Enter counts n in, which leave by as many; or it reports that the gate is
// closed, and counts nothing.
func (g *Gate) Enter(n int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside += n
	return true
}

// Leave counts n out.
func (g *Gate) Leave(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside -= n
	if g.inside == 0 && g.empty != nil {
		close(g.empty)
		g.empty = nil
	}
}

// Close lets nothing in any more. What is inside stays until it leaves.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

// Wait returns once nothing is inside, or with ctx's error.
func (g *Gate) Wait(ctx context.Context) error {
	g.mu.Lock()
	if g.inside == 0 {
		g.mu.Unlock()
		return nil
	}
	if g.empty == nil {
		g.empty = make(chan struct{})
	}
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
