// Package wire is the plugin's side of the boundary: [Serve] makes a process a
// plugin. It is all that the main function of a plugin calls.
//
// The contract is core/wire/bridgev1/bridge.proto, over
// github.com/hashicorp/go-plugin. The bridge's side is core/wire/process; what
// both share is core/wire/stream. No other package imports go-plugin or gRPC, so
// an adapter cannot tell whether it runs in a process of its own.
package wire
