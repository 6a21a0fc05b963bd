package wsout

import (
	"sync/atomic"
	"time"
)

// round holds up a shard until connections have caught up that are written to by
// goroutines of their own although they need not be slow: those without a socket
// of ours, TLS ones above all. Writing to a socket takes the shard's time, so
// there is a limit to how fast it can fill one; putting something into outboxes
// takes hardly any, and without a limit a burst would overflow those of good
// clients.
//
// A connection takes part when its outbox is half full, and leaves when it is a
// quarter full. One whose client makes no progress holds up nobody for long: the
// shard goes on, and does not wait for it again for a while.
type round struct {
	left     atomic.Int32 // connections that take part, and the shard until all are known
	progress atomic.Int32 // pieces that they have taken from their outboxes
	done     chan struct{}
}

const (
	roundPatience = 100 * time.Millisecond // without progress
	roundTimeout  = 500 * time.Millisecond // with
	exemption     = time.Minute
)

func newRound() *round {
	r := &round{done: make(chan struct{})}
	r.left.Store(1)
	return r
}

func (r *round) leave() {
	if r.left.Add(-1) == 0 {
		close(r.done)
	}
}

// wait waits for those who take part, but not for ever.
func (r *round) wait() {
	r.leave()
	tick := time.NewTicker(roundPatience)
	defer tick.Stop()
	before := int32(0)
	for range roundTimeout / roundPatience {
		select {
		case <-r.done:
			return
		case <-tick.C:
		}
		now := r.progress.Load()
		if now == before {
			return
		}
		before = now
	}
}

// join lets the shard wait for a connection if it should. c.mu is held.
func (s *shard) join(c *Conn) {
	if c.socket != nil || c.out == nil || !c.out.above(c.settings, 2) {
		return
	}
	now := time.Now()
	if c.out.leaveRound() { // the shard has waited in vain
		c.exempt = now.Add(exemption)
	}
	if now.Before(c.exempt) {
		return
	}
	if s.round == nil {
		s.round = newRound()
	}
	s.round.left.Add(1)
	c.out.round = s.round
}
