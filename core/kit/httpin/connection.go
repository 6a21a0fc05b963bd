package httpin

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// lingerTime is how long a connection that is sent away while it is idle is still
// read: closing it with something unread would reset it.
const lingerTime = 500 * time.Millisecond

// connection is an accepted connection, below TLS. It knows whether a request is
// under way and can be closed when there is none.
type connection struct {
	net.Conn
	forget func() // called when it speaks HTTP no more
	closed func() // called once when it is closed
	// notice hears of a client that speaks TLS; nil if that is right, or once the
	// first byte was seen. Only who reads uses it.
	notice func(from net.Addr)

	mu    sync.Mutex
	outer net.Conn // what net/http holds: the connection itself, or TLS around it
	// busy says that a request is under way; begun that bytes have come since
	// the last one, so that another may be on its way; served that there was one.
	busy, begun, served bool
	since               time.Time // something last happened
	leaving             bool      // it is half closed; what comes is not for us any more
	until               time.Time // while leaving: when to stop reading
}

// Read implements net.Conn. What comes after the connection was half closed is
// discarded, not served: it could not be answered.
func (c *connection) Read(b []byte) (int, error) {
	if c.heard(0) {
		return c.linger(b)
	}
	n, err := c.Conn.Read(b)
	if c.notice != nil && n > 0 {
		if b[0] == tlsHandshake {
			c.notice(c.RemoteAddr())
		}
		c.notice = nil
	}
	if c.heard(n) {
		return c.linger(b)
	}
	return n, err
}

// heard notes that bytes came, and reports whether the connection is leaving.
func (c *connection) heard(n int) (leaving bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 {
		c.begun, c.since = true, time.Now()
	}
	return c.leaving
}

// linger reads until the other side has closed too, or for long enough.
func (c *connection) linger(b []byte) (int, error) {
	err := c.Conn.SetReadDeadline(c.until) // net/http may have set another one
	for err == nil {
		_, err = c.Conn.Read(b)
	}
	return 0, io.EOF
}

// NetConn is the connection below, as of tls.Conn: whoever took over the
// connection may write to its socket.
func (c *connection) NetConn() net.Conn { return c.Conn }

// Close implements net.Conn.
func (c *connection) Close() error {
	err := c.Conn.Close()
	c.closed()
	return err
}

// changed follows net/http.
func (c *connection) changed(outer net.Conn, state http.ConnState) {
	if state == http.StateHijacked {
		c.forget()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outer = outer
	switch state {
	case http.StateActive:
		c.busy = true
	case http.StateIdle:
		c.busy, c.begun, c.served, c.since = false, false, true, time.Now()
	}
}

// dismiss half closes the connection if no request is under way and nothing has
// happened on it since the given time. wait is how long until it can be tried
// again; 0 says that it is, or was, dismissed.
func (c *connection) dismiss(quietSince time.Time) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.leaving:
		return 0
	case c.busy, c.begun && !c.multiplexed(), pending(c.Conn):
		return retryTime
	case c.since.After(quietSince):
		return c.since.Sub(quietSince)
	}
	c.leaving, c.until = true, time.Now().Add(lingerTime)
	if secured, ok := c.outer.(*tls.Conn); ok && c.served {
		_ = secured.CloseWrite() // the connection may be broken already, here and below
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.Conn.SetReadDeadline(c.until)
	return 0
}

// multiplexed reports whether the connection speaks HTTP/2, where bytes come
// that are no request. c.mu is held.
func (c *connection) multiplexed() bool {
	secured, ok := c.outer.(*tls.Conn)
	return ok && c.served && secured.ConnectionState().NegotiatedProtocol == "h2"
}

// pending reports whether the kernel holds something that was not read yet.
func pending(conn net.Conn) bool {
	descriptor, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := descriptor.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}
