package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// Options configure a [Client].
type Options struct {
	Policy Policy
	// TLS is from [TLS.Client]; nil verifies servers by the system's authorities.
	TLS *tls.Config
	// Timeout bounds a request as a whole: name, connection, answer and its body.
	// Zero means 10 seconds.
	Timeout time.Duration
	// Connections to one host at a time, more wait within their Timeout. Zero
	// means 16.
	Connections int
	// Redirects that are followed, each hop under the policy and never from https
	// to http. Zero follows none: the redirect itself is the response.
	Redirects int
	// Resolver looks names up; nil means the system's.
	Resolver *net.Resolver
}

// Bounds that no option changes.
const (
	defaultTimeout     = 10 * time.Second
	defaultConnections = 16
	idleTimeout        = 90 * time.Second
	maxHeaderBytes     = 64 << 10
)

// Client sends requests. Its methods may be called from any goroutine. Close it
// when it is no longer used.
type Client struct {
	http      http.Client
	transport *http.Transport
	timeout   time.Duration
	close     context.CancelFunc
}

// New makes a client.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	closed, cancel := context.WithCancel(context.Background())
	dialer := guard{policy: o.Policy, timeout: o.Timeout, resolver: o.Resolver, closed: closed}
	c := &Client{
		timeout: o.Timeout,
		close:   cancel,
		transport: &http.Transport{ // without Proxy: the environment decides nothing
			DialContext:            dialer.dial,
			TLSClientConfig:        o.TLS,
			TLSHandshakeTimeout:    o.Timeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxConnsPerHost:        o.Connections,
			MaxIdleConnsPerHost:    o.Connections,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeaderBytes,
		},
	}
	c.http = http.Client{Transport: c.transport, CheckRedirect: follow(o.Redirects)}
	return c
}

// follow is the rule on redirects.
func follow(most int) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, before []*http.Request) error {
		switch {
		case most == 0:
			return http.ErrUseLastResponse
		case len(before) > most:
			return fmt.Errorf("more than %d redirects", most)
		case next.URL.Scheme != "https" && before[len(before)-1].URL.Scheme == "https":
			return errors.New("a redirect from https to http")
		}
		return nil
	}
}

// Close closes the connections that are idle and makes no new ones. Those in use
// close after their requests, for which the caller waits before it calls Close if
// it wants them to succeed.
func (c *Client) Close() {
	c.close()
	c.transport.CloseIdleConnections()
}

// Response is a server's answer.
type Response struct {
	Status int
	Header http.Header
	// URL is where it came from, behind the redirects.
	URL *url.URL
	// Body is what was read of the body, up to the bound.
	Body []byte
	// Whole says that Body is all of it.
	Whole bool
}

// Error is the failure of a request. Its text names neither the URL, which may
// hold credentials, nor anything that the server sent.
type Error struct {
	// Sent says that the request, or a part of it, was on its way: the server may
	// have acted on it.
	Sent bool
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause: a [*Forbidden], a context's error, or the network's.
func (e *Error) Unwrap() error { return e.Err }

// Do sends a request and reads at most maxBody bytes of the answer's body. It
// waits until ctx ends or the client's timeout is over. The error is an [*Error];
// a body that breaks off is none.
func (c *Client) Do(ctx context.Context, request *http.Request, maxBody int64) (*Response, error) {
	if scheme := request.URL.Scheme; scheme != "http" && scheme != "https" {
		return nil, &Error{Err: fmt.Errorf("%q is no scheme for a request: want http or https", scheme)}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	response, err := c.http.Do(request.WithContext(ctx))
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, &Error{Sent: sent.Load(), Err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	whole := err == nil && int64(len(body)) <= maxBody
	if int64(len(body)) > maxBody {
		body = body[:maxBody]
	}
	return &Response{
		Status: response.StatusCode, Header: response.Header, URL: response.Request.URL, Body: body, Whole: whole,
	}, nil
}
