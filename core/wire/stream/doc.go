// Package stream is what both ends of the boundary's two streams share: the
// messages (protobuf of core/wire/bridgev1, written and read by hand around
// encoded events), the codec that hands them to gRPC as bytes, and the [Outbox]
// that gathers entries for whoever writes.
//
// It is internal to core/wire: plugins use wire.Serve, the bridge uses
// core/wire/process.
package stream
