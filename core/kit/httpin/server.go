package httpin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// writeTimeout bounds a response: handlers here answer in seconds, and what
// takes longer hijacks its connection.
const writeTimeout = 2 * time.Minute

// server is one address with the endpoints that share it.
type server struct {
	config       Config
	log          *slog.Logger
	http         *http.Server
	certificates *certificates // nil without TLS
	mux          atomic.Pointer[http.ServeMux]
	connections  *connections
	leaving      atomic.Bool // answers end their connections
	served       sync.WaitGroup

	mu        sync.Mutex
	endpoints []*Endpoint
	listener  net.Listener  // nil if it accepts nothing
	accepting chan struct{} // closed when the listener that was last will not yield a connection any more
	finished  bool          // every handler of the endpoint that went last has returned
}

func newServer(config Config, logger *slog.Logger) (*server, error) {
	s := &server{config: config, log: logger, connections: newConnections()}
	s.mux.Store(http.NewServeMux())
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	limits := config.Limits
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.route),
		Protocols:         protocols,
		ReadHeaderTimeout: limits.HeaderTimeout.Std(),
		ReadTimeout:       limits.HeaderTimeout.Std() + limits.BodyTimeout.Std(),
		WriteTimeout:      writeTimeout,
		IdleTimeout:       limits.IdleTimeout.Std(),
		MaxHeaderBytes:    int(limits.MaxHeader),
		ErrorLog:          log.New(serverLog{logger}, "", 0),
		ConnState:         s.connections.changed,
	}
	if config.TLS != nil {
		var err error
		if s.certificates, err = newCertificates(*config.TLS, logger); err != nil {
			return nil, err
		}
		s.http.TLSConfig = s.certificates.config()
	}
	return s, nil
}

// serves reports whether an endpoint with that configuration can join.
func (s *server) serves(config Config) bool {
	return reflect.DeepEqual(s.config.TLS, config.TLS) && s.config.Limits == config.Limits
}

// route answers 404 where http.ServeMux would redirect to a cleaner path: clients
// of APIs do not follow, and may have signed the path that they sent.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path && r.URL.Path != "" {
		http.NotFound(w, r)
		return
	}
	if s.leaving.Load() {
		w.Header().Set("Connection", "close") // for HTTP/2, net/http makes a GOAWAY of it
	}
	s.mux.Load().ServeHTTP(w, r)
}

// add mounts an endpoint's paths; with the first, the server listens.
func (s *server) add(ctx context.Context, e *Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	mux, err := newMux(append(s.endpoints, e))
	if err != nil {
		return fmt.Errorf("paths on %s: %w", s.config.Listen, err)
	}
	before := s.mux.Swap(mux) // before it listens: clients may be waiting in the socket
	if s.listener == nil {
		if err := s.listen(ctx, e); err != nil {
			s.mux.Store(before)
			return err
		}
	}
	s.endpoints = append(s.endpoints, e)
	return nil
}

func (s *server) listen(ctx context.Context, e *Endpoint) error {
	listener, err := e.host.Listen(ctx, s.config.Listen)
	if err != nil {
		return err
	}
	if s.certificates == nil {
		s.connections.notice = tlsAdvice(s.config.Listen, s.log)
	}
	watched := watch(listener, s.connections, s.config.Limits.MaxConnections)
	accepted := make(chan struct{})
	s.listener, s.accepting = watched, accepted
	s.leaving.Store(false)
	listener = watched
	if s.certificates != nil {
		listener = tls.NewListener(watched, s.http.TLSConfig)
	}
	s.served.Go(func() {
		defer close(accepted)
		err := s.http.Serve(listener)
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.log.Error("serving HTTP ended", "listen", s.config.Listen, "error", err)
		}
	})
	return nil
}

// newMux makes a mux of all endpoints' paths. A pattern that two endpoints have
// is an error; http.ServeMux panics at it.
func newMux(endpoints []*Endpoint) (mux *http.ServeMux, err error) {
	defer func() {
		if defect := recover(); defect != nil {
			err = fmt.Errorf("%v", defect)
		}
	}()
	mux = http.NewServeMux()
	for _, e := range endpoints {
		for pattern, handler := range e.handlers {
			mux.Handle(pattern, handler)
		}
	}
	return mux, nil
}

// graceTime is how long nothing must have happened on an idle connection before a
// drain closes it.
const graceTime = 2 * time.Second

// drain is Endpoint.Drain.
func (s *server) drain(ctx context.Context, e *Endpoint) {
	s.mu.Lock()
	if !slices.Contains(s.endpoints, e) {
		s.mu.Unlock()
		return // it has not started, or is stopped
	}
	s.leave()
	accepting := s.accepting
	s.mu.Unlock()
	<-accepting // a connection that was being accepted is among the others now
	s.connections.sendAway(ctx, graceTime)
}

// leave closes the listener and makes connections go away with their next answer.
// Another endpoint that comes later listens again. s.mu is held.
func (s *server) leave() {
	if s.listener != nil {
		s.leaving.Store(true)
		s.listener.Close()
		s.listener = nil
	}
}

// quiesce leaves if the endpoint is the only one.
func (s *server) quiesce(e *Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.endpoints) == 1 && s.endpoints[0] == e {
		s.leave()
	}
}

// remove takes an endpoint's paths away. finished says that its handlers have
// returned.
func (s *server) remove(e *Endpoint, finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished = finished
	var rest []*Endpoint
	for _, other := range s.endpoints {
		if other != e {
			rest = append(rest, other)
		}
	}
	s.endpoints = rest
	if mux, err := newMux(rest); err == nil {
		s.mux.Store(mux)
	}
}

func (s *server) addr() net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// flushTime is how long answers of handlers that have returned may take to leave.
const flushTime = time.Second

// Close implements io.Closer for the last endpoint. net/http sends an answer only
// after its handler has returned, so connections must not be closed at once.
func (s *server) Close() error {
	s.mu.Lock()
	s.leave() // endpoints that were stopped together have each left it to the other
	finished, accepting := s.finished, s.accepting
	s.mu.Unlock()
	if finished && accepting != nil {
		<-accepting
		ctx, cancel := context.WithTimeout(context.Background(), flushTime)
		defer cancel()
		s.connections.sendAway(ctx, 0) // what is open after that is closed below
	}
	err := s.http.Close()
	s.served.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serverLog takes net/http's own log lines: a panic is a defect of ours, the
// rest (failed TLS handshakes, malformed requests) is what strangers do.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	if strings.Contains(text, "panic serving") {
		l.log.Error("a request handler failed", "error", text)
	} else {
		l.log.Debug("http server", "message", text)
	}
	return len(line), nil
}
