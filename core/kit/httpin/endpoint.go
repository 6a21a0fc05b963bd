package httpin

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

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
	requests sync.WaitGroup // under way; hijacked connections do not count
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
		return nil, fmt.Errorf("two instances share %s but differ in tls or limits: make them equal", config.Listen)
	}
	e := &Endpoint{server: shared, release: release, host: host, handlers: make(map[string]http.Handler)}
	for pattern, handler := range handlers {
		e.handlers[pattern] = e.counted(handler)
	}
	return e, nil
}

// counted wraps a handler so that Stop can wait for its requests.
func (e *Endpoint) counted(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !e.enter() {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "this endpoint is stopping", http.StatusServiceUnavailable)
			return
		}
		defer e.requests.Done()
		handler.ServeHTTP(w, r)
	})
}

func (e *Endpoint) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.requests.Add(1)
	return true
}

// Start begins to serve; the first endpoint of an address opens its listener.
func (e *Endpoint) Start(ctx context.Context) error {
	return e.server.add(ctx, e)
}

// Addr is where the endpoint listens, nil before Start: for port 0.
func (e *Endpoint) Addr() net.Addr { return e.server.addr() }

// Stop serves nothing more: requests under way have until ctx ends, later ones
// answer 503. The last endpoint of an address closes its listener and
// connections; hijacked ones are their handler's matter. It is safe to call
// twice and without Start.
func (e *Endpoint) Stop(ctx context.Context) error {
	e.mu.Lock()
	stopped := e.stopping
	e.stopping = true
	e.mu.Unlock()
	if stopped {
		return nil
	}
	e.server.quiesce(e)
	done := make(chan struct{})
	go func() {
		e.requests.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	e.server.remove(e)
	return e.release()
}
