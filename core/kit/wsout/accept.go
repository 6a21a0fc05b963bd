package wsout

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Accept makes a request a WebSocket. On an error the response is written. It
// does not look at the Origin header: the caller does, before, or after in order
// to refuse with a close code.
//
// The connection can be sent to at once. It is not read from until
// [Conn.Serve] is called, which the caller must do, also after closing it; the
// HTTP handler returns then.
func (w *Writer) Accept(response http.ResponseWriter, r *http.Request, settings *Settings) (*Conn, error) {
	if w.isClosed() {
		http.Error(response, "this server is stopping", http.StatusServiceUnavailable)
		return nil, errClosed
	}
	c := &Conn{w: w, settings: settings}
	mode := websocket.CompressionDisabled
	if settings.Compression {
		mode = websocket.CompressionNoContextTakeover
	}
	ws, err := websocket.Accept(&hijacker{response, c}, r, &websocket.AcceptOptions{
		Subprotocols:       settings.Subprotocols,
		InsecureSkipVerify: true, // the check of the origin, which the caller does
		CompressionMode:    mode,
		OnPongReceived:     c.onPong,
	})
	if err != nil {
		return nil, err
	}
	ws.SetReadLimit(settings.MaxMessage)
	c.ws = ws
	c.compressed = strings.HasPrefix(response.Header().Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	c.lastRead.Store(time.Now().UnixNano())
	if !w.add(c) {
		c.Cut()
		c.release()
		return nil, errClosed
	}
	return c, nil
}

var errClosed = errors.New("accept WebSocket: the writer is closed")

// hijacker gives the library a connection that leads to a Conn.
type hijacker struct {
	http.ResponseWriter
	conn *Conn
}

const (
	controlBuffer = 128 // holds the largest control frame
	readBuffer    = 512
)

// Hijack implements http.Hijacker. The buffers are small because there are many
// connections that say little, and only control frames are written through them.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn.below = conn
	h.conn.socket = socketOf(conn)
	s := &shim{Conn: conn, conn: h.conn}
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ := rw.Reader.Peek(n)
		s.early = append(s.early, early...)
	}
	return s, bufio.NewReadWriter(bufio.NewReaderSize(s, readBuffer), bufio.NewWriterSize(s, controlBuffer)), nil
}

// shim is what the library takes for the connection.
type shim struct {
	net.Conn
	conn  *Conn
	early []byte // came with the handshake
}

// Read implements net.Conn.
func (s *shim) Read(p []byte) (n int, err error) {
	if len(s.early) > 0 {
		n = copy(p, s.early)
		if s.early = s.early[n:]; len(s.early) == 0 {
			s.early = nil
		}
	} else {
		n, err = s.Conn.Read(p)
	}
	if n > 0 {
		s.conn.lastRead.Store(time.Now().UnixNano())
	}
	return n, err
}

// Write implements net.Conn: the library writes control frames, whole ones.
func (s *shim) Write(frame []byte) (int, error) {
	s.conn.control(frame)
	return len(frame), nil
}

// Close implements net.Conn. The Conn closes the connection when all is written;
// the library would not wait for that.
func (s *shim) Close() error { return nil }

// belowTLS is the connection whose Close does not wait to say goodbye.
func belowTLS(conn net.Conn) net.Conn {
	if secured, ok := conn.(*tls.Conn); ok {
		return secured.NetConn()
	}
	return conn
}
