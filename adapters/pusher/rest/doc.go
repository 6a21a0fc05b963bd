// Package rest is the adapter pusher-rest: the HTTP API of Pusher Channels, as
// the official server libraries speak it. Applications publish events to channels
// and users with it, ask which channels are occupied and by whom, and close the
// connections of a user.
//
// It is a source and nothing else. It has no listeners and keeps no channels: what
// is published goes to the bus, and every question goes, as one of the calls of
// core/channels.go, to the sinks that have listeners, whatever their protocol.
//
// The protocol is the Pusher Channels HTTP API reference, with the answers that
// the libraries for Python, Node, Go, PHP and Ruby expect. Three things are the
// bridge's own: event_ids in the answer to a published event, idempotency_key, and
// data that need not be a string.
//
// # A request's walk
//
// api.ServeHTTP (api.go) finds the operation of the path (findRoute, route.go).
// exchange.admit (authenticate.go) finds app and key, holds the timestamp against
// the clock and verifies the signature, all from the head of the request: the
// body of a stranger is never read. readBody (body.go) reads it and compares its
// MD5 with the signed one. An operation answers: exchange.postEvent and postBatch
// (publish.go) walk the JSON (json.go) and check each event (message.go), let a
// repeated idempotency_key have its first answer (idempotency.go, answers.go), ask
// for counts if the request wants them (channels.go, attributes.go), and publish;
// getChannels and its kin (channels.go) ask and write what they are told. What is
// wrong is a fault (fault.go); answer.go writes both, counts and logs.
//
// A configuration (config.go) at work is a live (live.go): Reconfigure swaps it
// whole, and each request sees one from beginning to end.
//
// What is remembered of requests, answers under their idempotency_key and, under
// refuse_repeats, signatures, is in the instance's State and outlives a reload.
package rest
