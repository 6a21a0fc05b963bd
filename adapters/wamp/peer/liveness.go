package peer

import (
	"context"
	"errors"
	"os"
)

// checkAlive pings the other side, and cuts the connection when there was no
// sign of life for too long. It runs from a timer, so that neither a writer that
// is stuck nor a router that does not read can keep it from running.
func (p *Peer) checkAlive() {
	p.mu.Lock()
	if p.ending {
		p.mu.Unlock()
		return
	}
	p.running++
	p.mu.Unlock()
	defer p.leave()

	if p.ping() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ending {
			p.alive.Reset(p.opts.PingInterval)
		}
		return
	}
	p.End(End{Code: CloseNow, Reason: "no sign of life"})
}

// ping reports whether the other side is there: it answered, or sent something
// else meanwhile.
func (p *Peer) ping() bool {
	before := p.lastRead.Load()
	ctx, cancel := context.WithTimeout(context.Background(), p.opts.PingTimeout)
	defer cancel()
	if err := p.conn.Ping(ctx); err == nil {
		return true
	}
	return p.lastRead.Load() > before
}

// isTimeout reports whether a write failed because the reader did not read.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}
