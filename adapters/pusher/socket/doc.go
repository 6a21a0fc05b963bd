// Package socket is the adapter pusher-socket: a server for clients of the Pusher
// Channels protocol, versions 5 to 7, such as pusher-js. It is a sink, whose
// events go to the subscribers of a channel or to signed-in users; and a source
// of the events that clients send to one another and of what happens among them
// (channel_occupied, member_added, …).
//
// It is not the HTTP API, which is a source of its own; the two may share an
// address, for this one answers below /app/ only. HTTP fallback transports are
// not served.
//
// The source of the protocol is the vendor's published reference, and what
// pusher-js and the Java and Swift clients make of it (package protocol).
//
// # The walk of one event
//
// Deliver (deliver.go) finds the app that the event's space names (apps.go), and
// [space.Space.Deliver] turns it into one frame and hands that to the channel's
// group in core/kit/wsout, which writes it to every socket.
//
// # The walk of one connection
//
// ServeHTTP (accept.go) completes every upgrade, so that clients can be told by a
// close code why they may not stay, and makes the WebSocket a [space.Listener].
// What its client sends, and everything that follows, is package space's.
// What clients do for the bus goes through the source (source.go).
//
// # A reload
//
// Apps come, go and change in place (Reconfigure, instance.go). Where the
// instance is replaced, the old generation closes its connections one by one with
// a code that makes clients come back at once (Drain), and until it is gone both
// tell each other of their clients (generations.go, package peer), so that nobody
// notices who is connected where. What must survive the process is in core.State
// (store.go): cached events, and what the bus was told.
//
// # Bounds
//
// A connection's messages, queue, subscriptions, client events and time to
// authorize are bounded by its app's configuration and by the constants of
// accept.go; the cached events of an app by a number of bytes, the oldest giving
// way; what waits for the bus or for another generation by a number of bytes,
// beyond which it is dropped and counted.
package socket
