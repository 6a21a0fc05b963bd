// Package client keeps a session with an outside WAMP router: it connects,
// joins, publishes what is handed to it, and begins again when the session is
// lost, for ever.
//
// A publication's walk: [Client.Publish] puts it into the queue (queue.go),
// where it waits while there is no session, for a bounded time; serve
// (client.go) takes it from there and publishes it through package session,
// whose answer goes to the publisher. When the session is lost, what was sent
// without an answer has an unknown outcome, or goes back to the front of the
// queue if the configuration says so.
//
// One goroutine (run) owns connecting and the session; another (sweep) gives up
// what has waited too long.
package client
