// Package session is the client's side of a WAMP session that publishes and
// subscribes, over any peer: the bridge's own sessions with its router, and its
// session with an outside router.
//
// It knows nothing of connecting, of reconnecting, or of events: [Join] opens a
// session on a peer that stands, and the session ends with it. Unlike the nexus
// library's client it gives the publication id, tells a refusal by its URI,
// never waits without a bound, and tells what is known of each publication when
// the session is lost.
//
// A publication's walk: [Session.Publish] takes a place in the window of
// unanswered requests, numbers the request and writes it; run (run.go) reads
// PUBLISHED or ERROR and hands the [Outcome] to the publisher.
package session
