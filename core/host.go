package core

import (
	"context"
	"io"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"
)

// Host is the bus as one instance sees it, bound to that instance's routes. All
// methods may be called from any goroutine until the instance's Stop returns.
type Host interface {
	// Publish hands a publication to the routes of this instance and returns
	// when its Ack and NeedID are met.
	//
	// The receipts are those that the Ack waited for; with AckSent, and with
	// AckQueued when every edge took everything, there are none, but for those
	// that EventIDs asks for. The error is
	// nil when the Ack was met. Else it is a [*Refusal] (the publication as a
	// whole was refused, or its Ack or NeedID cannot be met any more; receipts
	// that are known come with it), or ctx's error: then the outcome is
	// unknown. A source that no route sends anywhere publishes with success.
	//
	// The events are encoded before Publish returns; the caller may reuse them.
	Publish(ctx context.Context, p Publication) ([]Receipt, error)

	// Call asks the sinks of this instance's routes that answer call.Op, and
	// returns their answers in file order. An error of one sink is an error to
	// the asker, never partial data. No sink to ask: no answers, no error.
	Call(ctx context.Context, call Call) ([]Answer, error)

	// Listen opens "host:port" or "unix:/path", which Validate must have named.
	// The caller closes the listener.
	Listen(ctx context.Context, address string) (net.Listener, error)

	// Shared returns the one object that the instances of this process hold
	// under key, made by create at first use: an HTTP server that two instances
	// reach by path. Each caller calls release once when it is done; the last
	// release closes the object. create may block; it runs once at a time.
	Shared(key string, create func() (io.Closer, error)) (object io.Closer, release func() error, err error)

	// Peers are the other generations of this instance.
	Peers() Peers

	// State is what outlives this generation of the instance.
	State() State

	// Log is the instance's logger; it carries the instance's name.
	Log() *slog.Logger

	// Metrics takes the instance's metrics. They carry the instance's name as a
	// label and go away when the instance stops.
	Metrics() prometheus.Registerer
}
