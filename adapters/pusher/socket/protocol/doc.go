// Package protocol is the Pusher Channels websocket protocol, versions 5 to 7, as
// bytes: the frames that a server sends (outgoing.go), those that clients send
// (incoming.go, user.go), the codes that connections are closed with (close.go).
// It holds no state and knows no sockets.
//
// The source is the vendor's published protocol reference; where it is silent,
// what pusher-js and the Java and Swift clients accept. Three rules shape the
// frames: every frame has a data member, for the Java client reads it unasked;
// data is a string, for the Swift client reads nothing else; data of pusher:error
// is an object, for the Swift client reads nothing else there.
package protocol
