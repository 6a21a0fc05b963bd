// Package auth is how sessions of a realm prove who they are: anonymous,
// ticket, WAMP-CRA (plain and salted) and cryptosign, in the static forms of
// Crossbar's configuration, and a way of their own for the bridge's sessions
// within the process.
//
// The authenticators implement the interface of the nexus library's router and
// replace its own, which compare tickets byte by byte and accept a recorded
// cryptosign answer for ever. What a stranger can see is the same for users that
// exist and users that do not; errors say nothing more than that it failed; and
// an address that fails is made to wait.
//
// A login's walk: the router finds the [Authenticators] by the client's wish and
// calls Authenticate (authenticator.go); the method (ticket.go, wampcra.go,
// cryptosign.go) makes a challenge; the answer comes back through the peer; the
// method verifies it against the [Directory], which is swapped as a whole when
// the configuration changes.
package auth
