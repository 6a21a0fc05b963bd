package auth

import (
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

// MethodOwn is the method of the bridge's own sessions. A client that names it
// is refused: what counts is the peer, and no client's peer is a Pipe.
const MethodOwn = "bridge"

// ownSessions lets in what comes through a pipe of this process.
type ownSessions struct{}

// AuthMethod implements auth.Authenticator.
func (ownSessions) AuthMethod() string { return MethodOwn }

// Authenticate implements auth.Authenticator.
func (ownSessions) Authenticate(_ wamp.ID, _ wamp.Dict, client wamp.Peer) (*wamp.Welcome, error) {
	pipe, ok := client.(*peer.Pipe)
	if !ok {
		return nil, errFailed
	}
	return &wamp.Welcome{Details: wamp.Dict{
		"authid": pipe.AuthID, "authrole": pipe.AuthRole, "authmethod": MethodOwn, "authprovider": "bridge",
	}}, nil
}
