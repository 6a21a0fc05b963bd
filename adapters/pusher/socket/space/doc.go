// Package space is one Pusher app at work: its connections, its channels with
// their subscribers, members and cached events, its signed-in users.
//
// A [Space] has one lock. What must not be seen apart happens under it in one
// step, including the hand-over of frames to package wsout, which does not wait:
// a snapshot of members, the acknowledgement that carries it, and the point from
// which on the subscriber gets the channel's events.
//
// # What clients do
//
// [Space.Connect] (listener.go) makes a WebSocket a [Listener], which package
// wsout gives the client's messages. Listener.Message tells them apart:
// subscribing (subscribe.go, authorize.go, room.go), signing in (signin.go),
// client events (clientevent.go).
//
// # What the bus does
//
// [Space.Deliver] (deliver.go) takes an event: it finds the string that clients
// get, remembers it if the channel caches (cache.go), and broadcasts one frame to
// the channel's group, or sends it to the users it is addressed to.
//
// # What the bus is told
//
// Client events, and happenings: every change of a room ends in settle (room.go),
// which tells the ledger of package happening what is so now. Only one generation
// of the instance has a ledger, the owner ([Space.Own], owner.go).
//
// # Two generations
//
// While the instance is replaced, another generation of it has clients of its
// own. Each tells the other the state of its rooms and users ([Space.News],
// news.go) and keeps what it hears beside its own, so that members, counts and
// watchlists are those of both, and every client is told of a change once, by the
// generation that it is connected to. A client that was sent away, or whose
// generation is gone, stays a member for a moment, within which it comes back
// unnoticed.
package space
