// Package watch tells users of one Pusher app which of the users on their
// watchlists are online: signed in on at least one connection.
//
// The [Board] is a state machine without clock, lock or I/O. It is told who comes
// and goes and when, and sends each watcher what has changed for it, gathered
// over a window. A user who goes is still online for a while, so that a page that
// is loaded anew is not seen.
package watch
