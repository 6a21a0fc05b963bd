package wsout

import "time"

// Settings are what connections of one kind have in common. They are shared, not
// copied, and must not change once a connection uses them. Start from
// [DefaultSettings]: nothing here has a default of its own.
type Settings struct {
	// Subprotocols that the server speaks, best first. A client that asks for
	// none of them is accepted without one; see [Conn.Subprotocol].
	Subprotocols []string
	// Compression lets clients ask for permessage-deflate (RFC 7692), without
	// context takeover: a message is compressed once for all who want it so.
	Compression bool

	// MaxMessage bounds a message of the client, in bytes; a longer one ends the
	// connection with 1009.
	MaxMessage int64
	// TextOnly ends a connection that sends a binary message, with 1003.
	TextOnly bool

	// QueueMessages and QueueBytes bound what waits for a client that reads too
	// slowly, beyond what its socket holds and what is being written to it. More
	// ends the connection as Slow says, but a single message may be longer than
	// QueueBytes. Up to 256 messages are queued at a time, so QueueMessages
	// should be several times that.
	QueueMessages, QueueBytes int
	// WriteTimeout bounds the time in which a slow client takes the next piece
	// of its queue, 64 KiB or one message. Longer ends it as Slow says.
	WriteTimeout time.Duration
	// Slow is said to a client that did not keep up.
	Slow Farewell

	// IdleTimeout is the time without a byte from the client after which Ping
	// is called; 0: never.
	IdleTimeout time.Duration
	// PongTimeout is how long after that a byte may take to come, before the
	// connection is ended as Silent says.
	PongTimeout time.Duration
	// Ping asks the client for a sign of life, from a goroutine of its own. Nil:
	// [Conn.Ping].
	Ping func(*Conn)
	// Silent is said to a client that gave no sign of life.
	Silent Farewell

	// CloseTimeout bounds a close handshake: sending what is queued, the close
	// frame, and the client's answer. The connection is cut after that.
	CloseTimeout time.Duration
}

// DefaultSettings are a start: no compression, messages of 100 KiB, text or
// binary, queues of 1,024 messages and 1 MiB, 10 s to take a piece of it, a
// ping after 2 minutes, 30 s to answer it, 5 s to close.
func DefaultSettings() Settings {
	return Settings{
		MaxMessage:    100 << 10,
		QueueMessages: 1024, QueueBytes: 1 << 20,
		WriteTimeout: 10 * time.Second,
		Slow:         Farewell{CodePolicyViolation, "too slow"},
		IdleTimeout:  2 * time.Minute, PongTimeout: 30 * time.Second,
		Silent:       Farewell{CodeGoingAway, "no sign of life"},
		CloseTimeout: 5 * time.Second,
	}
}

// Farewell is what a close frame says.
type Farewell struct {
	Code   int
	Reason string // cut off after 123 bytes
}

// Close codes of RFC 6455.
const (
	CodeNormal          = 1000
	CodeGoingAway       = 1001
	CodeUnsupported     = 1003 // a kind of message that is not spoken
	CodeNoStatus        = 1005 // the close frame said nothing
	CodeAbnormal        = 1006 // there was no close frame; never sent
	CodeInvalidData     = 1007 // text that is not UTF-8
	CodePolicyViolation = 1008
)

// End says how a connection ended.
type End struct {
	// Code and Reason of the close frame that came first, ours or the client's;
	// CodeAbnormal if there was none.
	Code   int
	Reason string
	// Remote says that the client ended it.
	Remote bool
	// Slow says that it was ended because the client did not keep up.
	Slow bool
	// Err is what went wrong, if something did.
	Err error
}
