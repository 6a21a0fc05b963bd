package router

import (
	"log/slog"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

// connection is a client on the network: its peer's guard, and what is known of
// it.
type connection struct {
	router    *Router
	address   netip.Addr // invalid for a client on a unix socket
	codec     *codec.Codec
	publishes *rate.Limiter

	greeted atomic.Bool // HELLO has come
	// Set by it, before the core can answer.
	identifies bool   // it wants to know who publishes
	realm      *realm // nil if there is none of that name

	delivered     prometheus.Counter // set by WELCOME
	subscriptions subscriptions
	acknowledged  acknowledged

	peer  atomic.Pointer[peer.Peer] // nil for a moment after the connection is made
	grant atomic.Pointer[grant]     // nil until it has joined
}

// grant is who a session has become.
type grant struct {
	realm, role, authID string
	session             wamp.ID
	named               bool // it is no anonymous session
}

// attached is the connection as the core knows it.
type attached struct {
	*peer.Peer
	connection *connection
}

// RemoteAddr implements auth.Remote.
func (a attached) RemoteAddr() netip.Addr { return a.connection.address }

// attach makes the connection a session. It returns when the session has joined
// or been refused.
func (c *connection) attach(p *peer.Peer) {
	if !c.router.enter() {
		p.End(peer.End{Code: peer.CloseGoingAway, Reason: "shutting down"})
		return
	}
	defer c.router.attaching.Done()
	silent := time.AfterFunc(c.router.limits.Load().HelloTimeout, func() {
		if !c.greeted.Load() {
			p.End(peer.End{Code: peer.ClosePolicyViolation, Reason: "no HELLO"})
		}
	})
	defer silent.Stop()
	details := wamp.Dict{"type": "websocket", "protocol": c.codec.Subprotocol()}
	if err := c.router.core.AttachClient(attached{p, c}, details); err != nil {
		c.log().Debug("session refused", "reason", err)
	}
}

// log is the instance's logger with what identifies the connection.
func (c *connection) log() *slog.Logger {
	log := c.router.options.Log.With("client", c.address.String(), "serializer", c.codec.Name())
	if g := c.grant.Load(); g != nil {
		log = log.With("realm", g.realm, "role", g.role)
	}
	return log
}

// welcome notes that the session has joined, and returns the message without the
// features that the router does not have, whatever the core says.
func (c *connection) welcome(m *wamp.Welcome) wamp.Message {
	g := &grant{realm: c.realm.name, session: m.ID}
	g.role, _ = m.Details["authrole"].(string)
	g.authID, _ = m.Details["authid"].(string)
	g.named = m.Details["authmethod"] != auth.MethodAnonymous
	c.grant.Store(g)
	counts := c.router.options.Metrics
	counts.Joins.WithLabelValues(c.realm.name, c.codec.Name()).Inc()
	c.delivered = counts.Deliveries.WithLabelValues(c.realm.name)

	roles := wamp.Dict{wamp.RoleBroker: without(m.Details, wamp.RoleBroker, wamp.FeatureEventHistory)}
	if c.realm.policy.Load().RPC {
		roles[wamp.RoleDealer] = without(m.Details, wamp.RoleDealer, wamp.FeatureCallTimeout)
	}
	details := maps.Clone(m.Details)
	details["roles"] = roles
	return &wamp.Welcome{ID: m.ID, Details: details}
}

// without is a role of a WELCOME without one of its features. The core shares
// its own dictionaries between sessions.
func without(details wamp.Dict, role, feature string) wamp.Dict {
	features := maps.Clone(wamp.DictChild(wamp.DictChild(wamp.DictChild(details, "roles"), role), "features"))
	delete(features, feature)
	return wamp.Dict{"features": features}
}

// abortReason is the label that an abort is counted by.
func abortReason(uri wamp.URI) string {
	switch uri {
	case wamp.ErrNoSuchRealm, wamp.ErrNoSuchRole, wamp.ErrAuthenticationFailed, wamp.ErrProtocolViolation, wamp.ErrSystemShutdown:
		return string(uri)
	}
	return "other"
}

func (c *connection) aborted(m *wamp.Abort) {
	c.router.options.Metrics.Aborts.WithLabelValues(abortReason(m.Reason)).Inc()
	c.log().Debug("session aborted", "reason", m.Reason, "message", m.Details[wamp.OptMessage])
}
