package peer

import (
	"context"
	"time"
)

// Conn is a connection that carries whole messages of one serialization.
type Conn interface {
	// Read returns the next message. An error is the end of the connection;
	// *CloseError says what to tell the other side. One goroutine calls it.
	Read() ([]byte, error)

	// Write sends messages in order, before the deadline. An error is the end
	// of the connection. One goroutine calls it, at the same time as Read.
	Write(messages [][]byte, deadline time.Time) error

	// Ping returns when the other side answered, or with an error when ctx
	// ended first or the connection broke.
	Ping(ctx context.Context) error

	// Close ends the connection: politely, waiting for the other side until
	// ctx ends, or at once if code is CloseNow. It makes Read, Write and Ping
	// return, and may be called again, with less patience, from another
	// goroutine.
	Close(ctx context.Context, code CloseCode, reason string)
}

// CloseCode says why a connection is closed; the numbers are WebSocket's.
type CloseCode int

// The codes that are used here.
const (
	CloseNow             CloseCode = 0 // no farewell: the connection is cut
	CloseNormal          CloseCode = 1000
	CloseGoingAway       CloseCode = 1001
	CloseProtocolError   CloseCode = 1002
	ClosePolicyViolation CloseCode = 1008
)

// CloseError is the error of a Conn that has read something that the protocol
// forbids.
type CloseError struct {
	Code   CloseCode
	Reason string
}

// Error implements error.
func (e *CloseError) Error() string { return e.Reason }
