// Package crossbar is the adapter crossbar-pusher: an HTTP endpoint that takes
// what applications have always sent to Crossbar.io's HTTP pusher (0.9) and
// publisher (since 0.10) services, and publishes it. One request is one JSON
// object with topic, args, kwargs and options, signed or not; it becomes one
// event, and the answer is a publication id.
//
// It is a source and nothing else. It holds no WAMP session and knows no router:
// who may publish where it asks with the call publish.authorize, and the id comes
// from the sink that issues ids, if the route has one. It is not Crossbar's
// caller, webhook or forwarder service.
//
// The protocol is Crossbar.io's "HTTP Bridge Publisher", with the differences of
// the original "HTTP Pusher" service under type: pusher. Crossbar's configuration
// can be pasted as it is; to get the default that its original documentation
// describes, no check of the age of requests, write timestamp_delta_limit: 0.
//
// # A request's walk
//
// pusher.ServeHTTP (handler.go) counts the request in (gate, limit.go) and runs
// exchange.serve: admit looks at address, TLS, method, origin (origin.go) and
// pace; checkHeader (header.go) and readBody (body.go) at what is sent;
// authenticate parses and checks the parameters (query.go) and the signature
// (keyring.verify, keys.go; what is signed, sign.go); parseMessage (message.go)
// scans the JSON strictly, once, and without building it (scan.go), and
// applyOptions (options.go) turns the publish options into an audience. A signed
// request passes publishOnce, which lets each through once (replays, replay.go;
// sequences, sequence.go). exchange.publish (publish.go) asks who may publish
// (permissions, authorize.go), builds the event, publishes it and turns a refusal
// into a fault (fault.go). exchange.answer (answer.go) writes the answer, counts
// it and logs it.
//
// A configuration (config.go, check.go) at work is a live (live.go): Reconfigure
// (pusher.go) swaps it whole, and each request sees one from beginning to end.
//
// What is remembered of requests (the replay cache, sequences, buckets) lives in
// this process only: it survives Reconfigure, not a new generation of the instance,
// since asking the bridge about each request would cost more than publishing it.
// After a restart or a replacement, or when timestamp_delta_limit grows, a signed
// request whose timestamp is still fresh, or is again, can be repeated once; and
// two processes that share a key, two generations among them, do not know each
// other's requests.
package crossbar
