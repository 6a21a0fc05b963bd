package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"
)

// guard dials for a client under its policy.
type guard struct {
	policy   Policy
	timeout  time.Duration
	resolver *net.Resolver // nil means the system's
	// closed ends what is being dialed when the client is closed: a transport
	// goes on dialing for requests that have given up.
	closed context.Context
}

// dial is the transport's way to a connection. The dialer resolves the name and
// asks the policy about each address right before it connects to it.
func (g guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	if err := g.policy.CheckHost(host); err != nil {
		return nil, err
	}
	var tried atomic.Bool // the dialer tries addresses of two families at once
	dialer := net.Dialer{
		Timeout:  g.timeout,
		Resolver: g.resolver,
		ControlContext: func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(resolved)
			if err != nil {
				return forbid("%q is no address", resolved)
			}
			if err := g.policy.Check(host, to); err != nil {
				return err
			}
			tried.Store(true)
			return nil
		},
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(g.closed, cancel)()
	conn, err := dialer.DialContext(ctx, network, address)
	var forbidden *Forbidden
	if err != nil && tried.Load() && errors.As(err, &forbidden) {
		return nil, fmt.Errorf("no permitted address of %s answers", host)
	}
	return conn, err
}
