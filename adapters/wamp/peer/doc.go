// Package peer is what stands between a WAMP session and its transport: a
// [Peer] speaks with a connection, a [Pipe] joins two ends in one process. Both
// are peers in the sense of the nexus library (github.com/gammazero/nexus/v3),
// whose router and whose message types the adapter uses.
//
// It replaces that library's transports, with four promises that they do not
// keep: nothing that a reader does or leaves undone reaches the router, no
// message is lost without the session being ended (unless configured so), a
// session ends within a bounded time, and ending one while the router still
// writes to it is harmless.
//
// An outgoing message's walk: the router writes it to the channel that
// [Peer.Send] returned; drain (outgoing.go) takes it from there at once, shows
// it to the [Guard], encodes it, and puts it into the bounded queue (queue.go);
// write sends what has queued up in one step through the [Conn] (websocket.go).
// An incoming one: read (incoming.go) takes it from the Conn, decodes it, shows
// it to the Guard, and hands it to the router through [Peer.Recv]. Liveness
// (liveness.go) is watched by a timer that depends on none of the three.
package peer
