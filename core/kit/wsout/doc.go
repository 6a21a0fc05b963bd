// Package wsout is for adapters that send to many WebSockets: it accepts them,
// reads them, and writes to them without any of them holding up another.
//
// A [Writer] owns connections and the goroutines that write to them. A [Conn] is
// one connection. A [Group] is a set of connections that get the same frames, a
// channel's subscribers for one. A [Frame] is a message as it goes over the
// wire, made once for all who get it.
//
// It knows no protocol above RFC 6455: what a message says, who may join which
// group, and which code a connection is closed with is the adapter's matter. It
// keeps nothing for connections that are gone.
//
// # Order
//
// Each connection gets what was handed over in the order of the calls: frames of
// a group in the order of [Group.Broadcast], what is sent to it alone behind all
// that was broadcast to its groups before. [Group.Join] is the point in a
// group's sequence from which on a connection gets it. Only between two groups
// nothing is promised. No call that hands over a frame waits for a network, so
// an adapter may hold a lock of its own across several of them to make them one
// step.
//
// # The walk of one event
//
// The adapter asks [Writer.Wait] (backlog.go) for room, makes a Frame (frame.go)
// and calls Group.Broadcast (group.go), which appends it to the group's log and
// marks the group's parts, one per writer goroutine, as having something to do.
// Each writer (shard.go) takes all that has gathered in the log since it was here
// last as one batch (batch.go) and offers it to its members: Conn.deliver (conn.go)
// writes it with one system call that does not wait (direct.go). If the socket
// takes only a part, or nothing, the rest goes to the connection's outbox
// (outbox.go), and a goroutine of its own writes until it has caught up. An
// outbox that is full, or does not move for the write timeout, ends the
// connection with the code that Settings name; others notice nothing.
//
// There is no timer on the way: a single event leaves at once, and while a
// writer is busy, what comes meanwhile gathers and costs one system call for
// all. Writing a batch is hardly dearer than writing a message.
//
// Connections whose socket cannot be written to directly always take the way
// through the outbox; their writers hold up the shard when they fall behind
// (round.go). Such are TLS connections, and those that a wrapper hides which does
// not show by a method NetConn, like that of tls.Conn, what it wraps.
//
// What comes in: github.com/coder/websocket does the handshake (accept.go) and
// reads (read.go), in one goroutine per connection with small buffers. Its
// control frames pass through the same lock as ours, so that frames never mix.
package wsout
