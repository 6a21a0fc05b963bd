package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Limits on what callers may ask of either server.
const (
	maxConnections = 64
	maxHeaderBytes = 16 << 10
	maxBodyBytes   = 1 << 10 // nothing takes a body
	readTimeout    = 5 * time.Second
	idleTimeout    = time.Minute
)

// Server serves the control socket or the admin address until Stop.
type Server struct {
	address string
	server  *http.Server
	served  sync.WaitGroup
	release func()
}

// serve starts a server on a listener. Answers may take as long as patience;
// release is called once it has stopped.
func serve(listener net.Listener, handler http.Handler, patience time.Duration, log *slog.Logger, release func()) *Server {
	s := &Server{address: listener.Addr().String(), release: release, server: &http.Server{
		Handler:           http.MaxBytesHandler(handler, maxBodyBytes),
		ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		WriteTimeout:   patience + readTimeout,
		MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug), // what callers do wrong
	}}
	s.served.Go(func() {
		if err := s.server.Serve(netutil.LimitListener(listener, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
			log.Error("serving ended", "address", s.address, "error", err)
		}
	})
	return s
}

// Address is where the server listens: host:port, or the path of a socket.
func (s *Server) Address() string { return s.address }

// Stop lets the requests under way finish until ctx ends, cuts off the rest, and
// releases the address. It may be called once.
func (s *Server) Stop(ctx context.Context) error {
	err := s.server.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.server.Close())
	}
	s.served.Wait()
	s.release()
	return err
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // a caller that has gone needs no answer
}
