// Package webhook is the adapter webhook: a sink that posts events to a URL, in
// the form of Pusher Channels' webhooks: one JSON object with time_ms and events,
// signed with the secret of the app. Receivers are the verification functions of
// Pusher's server libraries.
//
// It tries once and says how it went; repeating is the edge's work (retry: in the
// route's file). It delays nothing: that a channel which was left and joined again
// at once says nothing is decided where the happenings come from. It is not the
// receiving side of webhooks.
//
// What happened on channels are events of Kind happening, which an edge carries
// only if its file says so:
//
//	outbound:
//	  adapter: webhook
//	  kinds: [client, happening]
//	  retry: {}
//	  config: { url: "https://example.com/hook", format: pusher, apps: *apps }
//
// Elements of apps are those of the adapters pusher-rest and pusher-socket, so
// that a file writes them once. Of each, id, key, secret and keys count; other
// members are those adapters' and are passed over here, whatever they are called:
// a list of them would be wrong with the next version of either. What counts is
// checked, so a misspelt key or secret shows as one that is missing.
//
// Two of the libraries have peculiarities with channels whose names begin with
// private-encrypted-: Go's refuses a webhook that names one, PHP's drops its
// events. Who receives with them keeps such channels out with the edge's when:, as
// in !event.topic.startsWith("private-encrypted-").
//
// # An event's walk
//
// instance.Deliver (instance.go) hands batches to a core.Each, which keeps the
// order of each channel, or to a collector (collect.go), which puts the events of
// an app together. live.prepare (element.go) decides whether the event is wanted
// (filter.go) and whose it is (app.go), and makes it an element of the body.
// instance.post (post.go) makes the body and signs it (body.go), sends it with
// core/kit/egress, and makes a receipt of what came back.
//
// A configuration (config.go, check.go) at work is a live (live.go): Reconfigure
// swaps it whole, and every attempt sees one from beginning to end.
package webhook
