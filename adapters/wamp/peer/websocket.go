package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// webSocket is a Conn over a WebSocket.
type webSocket struct {
	ws      *websocket.Conn
	raw     net.Conn // below TLS: closing it is what cuts the connection
	kind    websocket.MessageType
	write   func(messages [][]byte, deadline time.Time) error
	closing atomic.Bool
}

// Read implements Conn.
func (c *webSocket) Read() ([]byte, error) {
	kind, data, err := c.ws.Read(context.Background())
	switch {
	case errors.Is(err, websocket.ErrMessageTooBig):
		return nil, &CloseError{Code: CloseCode(websocket.StatusMessageTooBig), Reason: "message too big"}
	case err != nil:
		return nil, err
	case kind != c.kind:
		return nil, &CloseError{Code: CloseProtocolError, Reason: "wrong frame type"}
	}
	return data, nil
}

// Write implements Conn.
func (c *webSocket) Write(messages [][]byte, deadline time.Time) error {
	return c.write(messages, deadline)
}

// Ping implements Conn.
func (c *webSocket) Ping(ctx context.Context) error { return c.ws.Ping(ctx) }

// Close implements Conn. Only the first call speaks with the library: it waits
// for calls that are under way, which the later ones help along.
func (c *webSocket) Close(ctx context.Context, code CloseCode, reason string) {
	if code == CloseNow {
		c.raw.Close()
	}
	if c.closing.Swap(true) {
		return
	}
	if code == CloseNow {
		_ = c.ws.CloseNow() // it is cut already
		return
	}
	stop := context.AfterFunc(ctx, func() { c.raw.Close() })
	defer stop()
	_ = c.ws.Close(websocket.StatusCode(code), shorten(reason)) // whatever it says, the connection is closed
}

// shorten keeps a reason within what a close frame holds.
func shorten(reason string) string {
	const most = 123
	if len(reason) > most {
		return reason[:most]
	}
	return reason
}

// writeEach sends messages one by one through the library, which masks them as
// a client must.
func (c *webSocket) writeEach(messages [][]byte, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	for _, message := range messages {
		if err := c.ws.Write(ctx, c.kind, message); err != nil {
			return err
		}
	}
	return nil
}

// serverConn is the connection below a server's WebSocket. The library writes
// control frames to it, whole ones, and we write messages: a server's frames
// need nothing but a header, and many of them go into one system call.
type serverConn struct {
	net.Conn
	mu sync.Mutex
}

// controlTimeout bounds the write of a control frame.
const controlTimeout = 5 * time.Second

// Write implements net.Conn for the library.
func (c *serverConn) Write(frame []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.SetWriteDeadline(time.Now().Add(controlTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(frame)
}

// frames are buffers that messages are merged in.
var frames = sync.Pool{New: func() any { return new([]byte) }}

// maxKeptFrames keeps the buffer of one huge message from staying forever.
const maxKeptFrames = 2 * batchBytes

// writeMessages sends messages in one piece.
func (c *serverConn) writeMessages(kind websocket.MessageType, messages [][]byte, deadline time.Time) error {
	buffer := frames.Get().(*[]byte)
	merged := (*buffer)[:0]
	for _, message := range messages {
		merged = append(appendHeader(merged, kind, len(message)), message...)
	}
	err := c.writeBy(merged, deadline)
	if cap(merged) <= maxKeptFrames {
		*buffer = merged
		frames.Put(buffer)
	}
	return err
}

func (c *serverConn) writeBy(data []byte, deadline time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := c.Conn.Write(data)
	return err
}

// appendHeader appends the header of a server's frame that is a whole message.
func appendHeader(to []byte, kind websocket.MessageType, length int) []byte {
	const final = 0x80
	to = append(to, final|byte(kind))
	switch {
	case length < 126:
		return append(to, byte(length))
	case length <= 0xffff:
		return binary.BigEndian.AppendUint16(append(to, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(to, 127), uint64(length))
}
