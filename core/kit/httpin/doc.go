// Package httpin is for adapters that listen for HTTP: listeners shared by path
// within a process, TLS whose files are read again when they change, limits,
// the client's address behind proxies, and draining.
//
// An adapter embeds [Config] in its configuration, checks it with [Config.Check]
// in Validate, and in Open makes an [Endpoint]: the paths that it serves. The
// endpoint accepts from Start to Drain, or to Stop. Two endpoints in one process may
// name the same address; then they share one server.
//
// It is no router and no middleware collection: handlers are net/http's.
package httpin
