// Package signature makes and checks the signatures of the Pusher Channels
// protocol, all of them HMAC-SHA256 in lower-case hexadecimal: of requests to the
// HTTP API (query.go), of subscriptions and sign-ins, and of webhooks
// (secret.go). Comparisons take the same time wherever texts differ.
package signature
