package httpin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
)

// Endpoint is the paths of one instance on one address.
type Endpoint struct {
	server   *server
	release  func() error
	host     core.Host
	handlers map[string]http.Handler

	mu       sync.Mutex
	stopping bool
	active   map[http.ResponseWriter]struct{} // requests whose handler has not returned
	idle     chan struct{}                    // closed when it is stopping and none is active
}

// NewEndpoint prepares to serve handlers, by path pattern in the syntax of
// http.ServeMux, on the configured address. Nothing listens before Start. The
// caller calls Stop in any case.
func NewEndpoint(host core.Host, config Config, handlers map[string]http.Handler) (*Endpoint, error) {
	object, release, err := host.Shared("httpin "+config.Listen, func() (io.Closer, error) {
		return newServer(config, host.Log())
	})
	if err != nil {
		return nil, err
	}
	shared, ok := object.(*server)
	if !ok || !shared.serves(config) {
		_ = release() // others hold the server, so this closes nothing
		return nil, fmt.Errorf("two instances share %s but differ in tls or limits: make them equal", config.Listen)
	}
	e := &Endpoint{
		server: shared, release: release, host: host,
		handlers: make(map[string]http.Handler),
		active:   make(map[http.ResponseWriter]struct{}),
		idle:     make(chan struct{}),
	}
	for pattern, handler := range handlers {
		e.handlers[pattern] = e.counted(handler)
	}
	return e, nil
}

// counted wraps a handler so that Stop can wait for its requests.
func (e *Endpoint) counted(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.enter(w) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "this endpoint is stopping", http.StatusServiceUnavailable)
			return
		}
		defer e.leave(w)
		handler.ServeHTTP(w, r)
	})
}

func (e *Endpoint) enter(w http.ResponseWriter) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.active[w] = struct{}{}
	return true
}

func (e *Endpoint) leave(w http.ResponseWriter) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.active, w)
	if e.stopping && len(e.active) == 0 {
		close(e.idle)
	}
}

// Start begins to serve; the first endpoint of an address opens its listener.
func (e *Endpoint) Start(ctx context.Context) error {
	return e.server.add(ctx, e)
}

// Addr is where the endpoint listens, for port 0; nil before Start and after Stop.
func (e *Endpoint) Addr() net.Addr { return e.server.addr() }

// Drain accepts no more connections and sends away those that are open, until
// they are gone or ctx has ended; Stop follows. Requests are served all the while.
//
// It closes the listener of this process alone: where the bridge owns the socket,
// another generation of the instance goes on accepting, and what waits in the
// kernel is for that one. Endpoints that share an address drain together, with the
// first of them: a process is replaced as a whole, and what it went on accepting
// for one endpoint could be meant for one that has gone.
//
// What is promised: a connection that was accepted is served; every request whose
// first byte is read gets its answer; each answer to a request that came after
// Drain began says Connection: close, so the client knows not to send another on
// that connection. HTTP/2 has many requests under way: there the answer brings a
// GOAWAY, which names those that were not looked at and are the client's to send
// again. An idle connection is closed once it has been
// quiet for 2 s, or when ctx ends. HTTP cannot promise more for it: a request that
// crosses the close on its way is discarded unseen, never served without an
// answer, and its sender sees the connection end in order, not a reset. Hijacked
// connections are the adapter's matter.
func (e *Endpoint) Drain(ctx context.Context) error {
	e.server.drain(ctx, e)
	return nil
}

// Stop serves nothing more: requests under way have until ctx ends, later ones
// answer 503. When ctx ends, reading and writing fail for handlers that have not
// returned. The last endpoint of an address closes its listener and connections,
// idle ones without waiting for the grace of [Endpoint.Drain];
// hijacked ones whose handler has returned are the adapter's matter. It is safe
// to call twice and without Start.
func (e *Endpoint) Stop(ctx context.Context) error {
	if !e.refuse() {
		return nil
	}
	e.server.quiesce(e)
	finished := true
	select {
	case <-e.idle:
	case <-ctx.Done():
		finished = false
		e.interrupt()
	}
	e.server.remove(e, finished)
	return e.release()
}

// refuse lets no request in from now on; false if it was called before.
func (e *Endpoint) refuse() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.stopping = true
	if len(e.active) == 0 {
		close(e.idle)
	}
	return true
}

// interrupt makes reading and writing fail for the requests under way. Where the
// server is shared, its connections outlive the endpoint.
func (e *Endpoint) interrupt() {
	e.mu.Lock()
	defer e.mu.Unlock()
	past := time.Unix(1, 0)
	for w := range e.active {
		controller := http.NewResponseController(w)
		_ = controller.SetReadDeadline(past) // a connection that is gone needs none
		_ = controller.SetWriteDeadline(past)
	}
}
