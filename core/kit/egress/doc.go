// Package egress is for adapters that send HTTP requests to URLs which a
// configuration or a stranger gives: a client that is bounded in time, memory and
// connections, and a policy on which addresses it may reach.
//
// It is no general HTTP client: it knows no cookies, no proxies and no retries.
// Retrying belongs to the edge, or to a hub's own queue.
//
// A [Policy] is checked on the address that a connection is about to be made to,
// after its name was resolved, so a name that resolves to something else the
// second time gains nothing. The addresses that are not public are those of the
// IANA special-purpose registries.
//
// A request's walk: [Client.Do] (client.go) sends it with the client's own
// context and time; for a new connection the transport calls guard.dial (dial.go),
// which lets the dialer try only addresses that [Policy.Check] (policy.go)
// permits; TLS is as [TLS] (tls.go) says. What comes back is a [Response] whose
// body was read up to a bound, or an [Error] that says whether the request had
// been sent.
package egress
