package peer

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/coder/websocket"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// DialOptions say where and how to connect.
type DialOptions struct {
	URL   string // ws:// or wss://
	Codec *codec.Codec
	TLS   *tls.Config // nil: the system's authorities
	// MaxMessage is the longest message that is taken, in bytes.
	MaxMessage int64
}

// DialError says why there is no connection.
type DialError struct {
	// Status of the HTTP response, 0 if there was none.
	Status int
	Err    error
}

// Error implements error.
func (e *DialError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Dial connects until ctx ends. Its error is a *DialError.
func Dial(ctx context.Context, opts DialOptions) (Conn, error) {
	var raw atomic.Pointer[net.Conn]
	transport := &http.Transport{
		Proxy:           http.ProxyFromEnvironment,
		TLSClientConfig: opts.TLS,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			if err == nil {
				raw.Store(&conn)
			}
			return conn, err
		},
	}
	ws, response, err := websocket.Dial(ctx, opts.URL, &websocket.DialOptions{
		HTTPClient:   &http.Client{Transport: transport, CheckRedirect: noRedirect},
		Subprotocols: []string{opts.Codec.Subprotocol()},
	})
	if err != nil {
		transport.CloseIdleConnections()
		return nil, dialError(response, err)
	}
	ws.SetReadLimit(opts.MaxMessage)
	conn := &webSocket{ws: ws, raw: *raw.Load(), kind: frameKind(opts.Codec)}
	conn.write = conn.writeEach
	if ws.Subprotocol() != opts.Codec.Subprotocol() {
		conn.Close(ctx, CloseNow, "")
		return nil, &DialError{Err: fmt.Errorf("the router does not speak %s at %s", opts.Codec.Subprotocol(), opts.URL)}
	}
	return conn, nil
}

// noRedirect makes a redirection an error: credentials go to the configured
// router and to no other.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func dialError(response *http.Response, err error) *DialError {
	if response == nil {
		return &DialError{Err: err}
	}
	return &DialError{Status: response.StatusCode, Err: err}
}
