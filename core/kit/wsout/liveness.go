package wsout

import (
	"context"
	"time"
)

// watch begins to look for signs of life.
func (c *Conn) watch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.settings.IdleTimeout > 0 && c.state == open {
		c.timer = time.AfterFunc(c.settings.IdleTimeout, c.checkAlive)
	}
}

func (c *Conn) onPong(context.Context, []byte) { c.ponged.Store(true) }

// checkAlive runs from the connection's timer, so that nothing that blocks can
// keep it from running.
func (c *Conn) checkAlive() {
	if !c.askAfter() {
		return
	}
	if c.settings.Ping != nil {
		c.settings.Ping(c)
	} else {
		c.Ping()
	}
}

// askAfter sets the timer anew, or ends a connection that is silent, and reports
// whether the client is to be asked for a sign of life.
func (c *Conn) askAfter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return false
	}
	now, last := time.Now().UnixNano(), c.lastRead.Load()
	idle := time.Duration(now - last)
	switch {
	case idle < c.settings.IdleTimeout:
		c.timer.Reset(c.settings.IdleTimeout - idle)
		return false
	case c.pinged == 0 || last > c.pinged:
		c.pinged = now
		c.timer.Reset(c.settings.PongTimeout)
		return true
	}
	c.send(nil)
	if c.state == open {
		c.farewell(End{Code: c.settings.Silent.Code, Reason: shorten(c.settings.Silent.Reason)})
	}
	return false
}
