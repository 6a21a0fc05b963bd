// Package wamp is the adapter for the Web Application Messaging Protocol
// (https://wamp-proto.org), in two modes. As a router it is the WAMP router that
// browsers and services connect to over WebSocket, in JSON, MessagePack and CBOR;
// as a client it joins an outside router and publishes there. Either way it is a
// sink, whose receipts carry the router's publication id, and a source of what
// WAMP clients publish at the topics it is told to listen to.
//
// It is no general WAMP toolkit: publications are what it is for. Procedures are
// routed between clients, and the bridge itself neither calls nor offers any.
// Events are not kept: there is no history and no retained event.
//
// The rooms, each of which imports only those before it:
//
//	codec       messages to bytes and back, strictly
//	permission  what a role may do with a URI
//	metrics     what is counted
//	peer        a session's transport: WebSocket, or a pipe within the process
//	session     the client's side of a session
//	auth        how clients prove who they are
//	router      the router, around the core of the nexus library
//	client      a session with an outside router that is kept up
//
// An event's walk to a router's subscribers: Deliver (router_mode.go) finds its
// realm; publications (event.go) makes PUBLISH messages of it; sessions
// (publishing.go) publishes them through a session of the bridge's own for the
// realm and role, which joined through a pipe; the router checks the role's
// permission again and hands EVENTs to the peers of the subscribers. Its answer
// comes back through the session, and receiptOf (receipt.go) makes the receipt.
// To an outside router: Deliver (client_mode.go), publications, then
// client.Publish, which queues while there is no session.
//
// The other way round: a session that the bridge holds in the realm gets an
// EVENT; message (source.go) makes a core.Event of it, or, of the router's meta
// events, happenings (happenings.go); source publishes it to the bus. What the
// bridge publishes never comes back this way: its listening session is excluded
// from it.
//
// While an instance is replaced, two generations of the router are at work. The bus
// delivers to both; what a client publishes at one of them reaches the subscribers
// of the other as well (generations.go, router.Relay), with the same publication id
// and the same lists of receivers. Not carried: calls, whose procedures are those of
// one router; testaments; subscription meta events, so that each generation says for
// itself which topics are occupied.
//
// What is asked about listeners (core/channels.go) is answered by listeners.go.
//
// Configuration: config.go is its shape, check.go and check_auth.go what can be
// wrong with it, build.go what it becomes.
package wamp
