package peer

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// Accept makes a request a WebSocket that speaks codec's subprotocol and takes
// messages of up to maxMessage bytes. On an error the response is written. The
// origin has been checked by the caller.
func Accept(w http.ResponseWriter, r *http.Request, c *codec.Codec, maxMessage int64) (Conn, error) {
	capture := &hijacker{ResponseWriter: w}
	ws, err := websocket.Accept(capture, r, &websocket.AcceptOptions{
		Subprotocols:       []string{c.Subprotocol()},
		InsecureSkipVerify: true, // the check of the origin, which the caller did
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(maxMessage)
	below, kind := capture.conn, frameKind(c) // and no more of the request, which is large
	return &webSocket{
		ws: ws, raw: belowTLS(below.Conn), kind: kind,
		write: func(messages [][]byte, deadline time.Time) error {
			return below.writeMessages(kind, messages, deadline)
		},
	}, nil
}

// belowTLS is the connection whose Close does not wait to say goodbye.
func belowTLS(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}

func frameKind(c *codec.Codec) websocket.MessageType {
	if c.Binary() {
		return websocket.MessageBinary
	}
	return websocket.MessageText
}

// hijacker keeps hold of the connection that the library takes over.
type hijacker struct {
	http.ResponseWriter
	conn *serverConn
}

const (
	controlBuffer = 256 // holds the largest control frame
	readBuffer    = 1024
)

// Hijack implements http.Hijacker. The library's writer leads to serverConn,
// not past it, and is small because only control frames go that way; its reader
// is small because there are many sessions that say little.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn = &serverConn{Conn: conn}
	reader := rw.Reader
	if reader.Buffered() == 0 {
		reader = bufio.NewReaderSize(h.conn, readBuffer)
	}
	return h.conn, bufio.NewReadWriter(reader, bufio.NewWriterSize(h.conn, controlBuffer)), nil
}
