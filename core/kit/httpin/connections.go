package httpin

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"time"
)

// connections are a server's open connections, but for those that were hijacked.
type connections struct {
	notice func(from net.Addr) // see connection; set before the first is added

	mu   sync.Mutex
	open map[*connection]struct{}
	// happened holds a token when a request has ended or a connection has gone;
	// one is enough, since whoever takes it looks at all of them.
	happened chan struct{}
}

func newConnections() *connections {
	return &connections{open: make(map[*connection]struct{}), happened: make(chan struct{}, 1)}
}

func (s *connections) add(conn net.Conn, closed func()) *connection {
	c := &connection{Conn: conn, notice: s.notice, since: time.Now()}
	c.forget = func() { s.remove(c) }
	c.closed = sync.OnceFunc(func() {
		s.remove(c)
		closed()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[c] = struct{}{}
	return c
}

func (s *connections) remove(c *connection) {
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.signal()
}

func (s *connections) signal() {
	select {
	case s.happened <- struct{}{}:
	default:
	}
}

// changed is net/http's hook.
func (s *connections) changed(conn net.Conn, state http.ConnState) {
	inner := conn
	if secured, ok := conn.(*tls.Conn); ok {
		inner = secured.NetConn()
	}
	if c, ok := inner.(*connection); ok {
		c.changed(conn, state)
		if state == http.StateIdle {
			s.signal()
		}
	}
}

// retryTime is how long to wait for a connection that is busy, at most.
const retryTime = 100 * time.Millisecond

// sendAway waits until there are no connections or ctx ends. Those that are idle
// are closed once nothing has happened on them for the grace, or when ctx ends.
func (s *connections) sendAway(ctx context.Context, grace time.Duration) {
	began := time.Now()
	for {
		quietSince := time.Now().Add(-grace)
		if quietSince.Before(began) && grace > 0 {
			quietSince = time.Time{} // the grace has only begun
		}
		open, wait := s.dismiss(quietSince)
		if open == 0 {
			return
		}
		timer := time.NewTimer(min(wait, retryTime))
		select {
		case <-timer.C:
		case <-s.happened:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			s.dismiss(time.Now())
			return
		}
	}
}

// dismiss closes the connections that are idle since the given time, and returns
// how many are still open and how long to wait before it is worth another look.
func (s *connections) dismiss(quietSince time.Time) (open int, wait time.Duration) {
	s.mu.Lock()
	all := make([]*connection, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	wait = retryTime
	for _, c := range all {
		if again := c.dismiss(quietSince); again > 0 {
			wait = min(wait, again)
		}
	}
	return len(all), wait
}

// watchedListener accepts connections, as many as may be open at a time, and
// notes them.
type watchedListener struct {
	net.Listener
	connections *connections
	places      chan struct{} // holds a token for each open connection
	stop        func()
	stopped     chan struct{}
}

func watch(listener net.Listener, connections *connections, places int) *watchedListener {
	l := &watchedListener{
		Listener: listener, connections: connections,
		places: make(chan struct{}, places), stopped: make(chan struct{}),
	}
	l.stop = sync.OnceFunc(func() { close(l.stopped) })
	return l
}

// Accept implements net.Listener.
func (l *watchedListener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.stopped:
		return nil, net.ErrClosed
	}
	leave := func() { <-l.places }
	conn, err := l.Listener.Accept()
	if err != nil {
		leave()
		return nil, err
	}
	return l.connections.add(conn, leave), nil
}

// Close implements net.Listener.
func (l *watchedListener) Close() error {
	l.stop()
	return l.Listener.Close()
}
