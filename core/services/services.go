// Package services gathers what the bridge offers to instances besides the bus,
// so that both ways of running one, in a plugin and in this process, are given
// the same.
package services

import (
	"context"

	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/state"
)

// Services are shared by all instances; State and Peers tell them apart by name.
type Services struct {
	// Socket returns a descriptor of the listening socket that an instance may
	// have at the address; the caller closes it. The error says why it may not.
	Socket func(ctx context.Context, instance, address string) (descriptor int, err error)
	Peers  *peers.Registry
	State  *state.Store
}
