// Package codec turns WAMP messages into bytes and back, in the three
// serializations of WAMP over WebSocket: JSON, MessagePack and CBOR.
//
// It is strict where it reads, because what it reads comes from strangers: a
// message that is not exactly one array of the shape that the WAMP specification
// gives for its type is an error, and so is an id outside 1 to 2^53. It is plain
// where it writes: no reflection over message types, one buffer for a message.
//
// Binary values are []byte on the Go side in all three; JSON writes them as the
// specification says, a string of NUL and base64, and reads them back.
//
// Message types are those of the nexus library, so that a decoded message goes
// to its router as it is.
//
// A message's walk: [Codec.Decode] reads generic values, message (decode.go)
// gives them the shape of a message; elements (encode.go) lists a message's
// elements, [Codec.Encode] writes them.
package codec
