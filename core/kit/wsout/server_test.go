package wsout

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what must happen; it fails then.
const patience = 30 * time.Second

// server accepts connections for a test and hands them over.
type server struct {
	t        *testing.T
	writer   *Writer
	settings Settings
	http     *httptest.Server
	dialing  sync.Mutex // a client at a time, so that each finds its connection
	accepted chan *served
}

// served is a connection with what its handler was told.
type served struct {
	*Conn
	messages chan string
	closed   chan End
}

func (s *served) Message(data []byte, binary bool) {
	s.messages <- fmt.Sprint(binary, " ", string(data))
}
func (s *served) Closed(end End) { s.closed <- end }

func (s *served) end(t *testing.T) End {
	t.Helper()
	return receive(t, s.closed)
}

func receive[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case value := <-from:
		return value
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("not reached")
	}
}

type serverOptions struct {
	tls      bool
	small    bool // small socket buffers, so that a client that does not read is noticed soon
	settings func(*Settings)
	options  Options
}

func newServer(t *testing.T, o serverOptions) *server {
	t.Helper()
	s := &server{t: t, writer: New(o.options), settings: DefaultSettings(), accepted: make(chan *served, 64)}
	if o.settings != nil {
		o.settings(&s.settings)
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.http.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if tcp, ok := belowTLS(conn).(*net.TCPConn); ok && o.small {
			_ = tcp.SetWriteBuffer(16 << 10)
		}
		return ctx
	}
	if o.tls {
		s.http.StartTLS()
	} else {
		s.http.Start()
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.writer.Close(ctx); err != nil {
			t.Error(err)
		}
		s.http.Close()
		if left := s.writer.Len(); left != 0 {
			t.Errorf("%d connections are left", left)
		}
	})
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := s.writer.Accept(w, r, &s.settings)
	if err != nil {
		return
	}
	served := &served{Conn: conn, messages: make(chan string, 4096), closed: make(chan End, 1)}
	s.accepted <- served
	conn.Serve(served)
}

// dial opens a client with the library's client.
func (s *server) dial() (*served, *websocket.Conn) {
	s.t.Helper()
	return s.dialWith(&websocket.DialOptions{})
}

func (s *server) dialWith(options *websocket.DialOptions) (*served, *websocket.Conn) {
	s.t.Helper()
	s.dialing.Lock()
	defer s.dialing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	options.HTTPClient = s.http.Client()
	client, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.http.URL, "http"), options)
	if err != nil {
		s.t.Fatal(err)
	}
	client.SetReadLimit(64 << 20)
	s.t.Cleanup(func() { client.CloseNow() })
	return receive(s.t, s.accepted), client
}

// read reads one message with the library's client.
func read(t *testing.T, client *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := client.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// readClose reads until the close frame.
func readClose(t *testing.T, client *websocket.Conn) websocket.CloseError {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, _, err := client.Read(ctx)
		if err == nil {
			continue
		}
		var end websocket.CloseError
		if !errors.As(err, &end) {
			t.Fatalf("no close frame: %v", err)
		}
		return end
	}
}

func write(t *testing.T, client *websocket.Conn, kind websocket.MessageType, data string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.Write(ctx, kind, []byte(data)); err != nil {
		t.Fatal(err)
	}
}

func text(format string, args ...any) *Frame { return Text(fmt.Appendf(nil, format, args...)) }

// strict is a client that speaks the wire itself and accepts nothing but whole,
// unfragmented, unmasked frames with minimal lengths.
type strict struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (s *server) dialStrict() (*served, *strict) {
	s.t.Helper()
	s.dialing.Lock()
	defer s.dialing.Unlock()
	var conn net.Conn
	var err error
	address := s.http.Listener.Addr().String()
	if s.http.TLS != nil {
		conn, err = tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	} else {
		conn, err = net.Dial("tcp", address)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatal(response, err)
	}
	return receive(s.t, s.accepted), &strict{s.t, conn, in}
}

// frame reads one frame.
func (c *strict) frame() (opcode byte, payload []byte) {
	c.t.Helper()
	opcode, payload, err := c.tryFrame()
	if err != nil {
		c.t.Fatal(err)
	}
	return opcode, payload
}

func (c *strict) tryFrame() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil, err
	}
	if head[0]&0xf0 != final || head[1]&0x80 != 0 {
		return 0, nil, fmt.Errorf("header %x", head)
	}
	opcode = head[0] & 0x0f
	length := uint64(head[1])
	switch length {
	case 126:
		var more [2]byte
		_, err = io.ReadFull(c.in, more[:])
		if length = uint64(binary.BigEndian.Uint16(more[:])); length < 126 {
			return 0, nil, errors.New("length not minimal")
		}
	case 127:
		var more [8]byte
		_, err = io.ReadFull(c.in, more[:])
		if length = binary.BigEndian.Uint64(more[:]); length < 1<<16 {
			return 0, nil, errors.New("length not minimal")
		}
	}
	if err != nil {
		return 0, nil, err
	}
	if opcode != opText && opcode != opBinary && (opcode < opClose || opcode > 10 || length > maxControl) {
		return 0, nil, fmt.Errorf("opcode %d with %d bytes", opcode, length)
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(c.in, payload)
	return opcode, payload, err
}

// send sends a masked frame; the mask is zero, so the payload stays as it is.
func (c *strict) send(first byte, payload []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(maskedFrame(first, payload)); err != nil {
		c.t.Fatal(err)
	}
}

func maskedFrame(first byte, payload []byte) []byte {
	frame := appendHeader(nil, first, len(payload))
	frame[1] |= 0x80
	return append(append(frame, 0, 0, 0, 0), payload...)
}
