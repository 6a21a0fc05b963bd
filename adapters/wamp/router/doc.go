// Package router is a WAMP router for the network: the router core of the nexus
// library (github.com/gammazero/nexus/v3) behind transports, permissions,
// authentication and checks of our own.
//
// The core is trusted to route and to nothing else. What clients send is brought
// into a shape that it handles (guard.go), because there are messages that end
// the process inside it; who may do what is decided by [Policy]; who receives a
// publication by filter; and every session, the bridge's own included, goes
// through authentication and authorization, because every peer of ours calls
// itself local (see package peer) and the core would trust it.
//
// A client's walk: [Router.ServeHTTP] (accept.go) checks the request and makes
// it a WebSocket; connection (connection.go) attaches it to the core and is its
// guard from then on. Its PUBLISH passes guard.Incoming (guard.go) and the
// authorizer (authorizer.go); the core makes EVENTs of it, for the subscribers
// that filter (filter.go) allows, and hands them to their peers.
//
// While there is another generation of the router, [Router.Relay] (relay.go) hands it
// what clients publish. [Router.Topics], [Router.Users] and [Router.Disconnect]
// (listeners.go) tell of subscribers and end sessions. What can change while the
// router works is a realm's [Policy] and directory ([Router.Swap]) and [Limits]
// ([Router.Adjust]).
//
// The bridge's own sessions come through [Router.Join]. [Router.Drain] and
// [Router.Close] (shutdown.go) end it all.
package router
