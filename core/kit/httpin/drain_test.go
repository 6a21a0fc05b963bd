package httpin

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// socketHost is the host of one generation: all have the same kernel socket.
type socketHost struct {
	*testHost
	socket net.Listener
}

// Listen implements core.Host.
func (h socketHost) Listen(context.Context, string) (net.Listener, error) {
	file, err := h.socket.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// listening opens the socket that generations share.
func listening(t testing.TB, network, address string) net.Listener {
	t.Helper()
	socket, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	return socket
}

// generation starts an endpoint in a process of its own.
func generation(t testing.TB, socket net.Listener, config string, handlers map[string]http.Handler) *Endpoint {
	t.Helper()
	e, err := NewEndpoint(socketHost{newTestHost(t), socket}, configOf(t, config), handlers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, e) })
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func stop(t testing.TB, e *Endpoint) {
	t.Helper()
	if err := e.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func drain(t testing.TB, e *Endpoint) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := e.Drain(ctx); err != nil {
		t.Errorf("drain: %v", err)
	}
	if ctx.Err() != nil {
		t.Error("the drain did not come to an end")
	}
}

// hammer counts what clients send and handlers see.
type hammer struct {
	t          testing.TB
	url        string
	sent, seen atomic.Int64
	over       atomic.Bool
	working    sync.WaitGroup
	// repeatable lets net/http send a request again that the server says it has
	// not looked at, as HTTP/2 can.
	repeatable bool
}

// ServeHTTP answers with what was posted.
func (h *hammer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Errorf("a request arrived in part: %v", err)
	}
	h.seen.Add(1)
	_, _ = w.Write(body)
}

// post sends requests, one after the other.
func (h *hammer) post(client *http.Client, name int) {
	for n := 0; !h.over.Load(); n++ {
		text := fmt.Sprintf("request %d of %d", n, name)
		var body io.Reader = strings.NewReader(text)
		if !h.repeatable {
			body = struct{ io.Reader }{body}
		}
		request, err := http.NewRequest("POST", h.url, body)
		if err != nil {
			h.t.Error(err)
			return
		}
		request.ContentLength = int64(len(text))
		response, err := client.Do(request)
		if err != nil {
			h.t.Errorf("%s: %v", text, err)
			return
		}
		answer, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK || string(answer) != text {
			h.t.Errorf("%s: status %d, %q, %v", text, response.StatusCode, answer, err)
			return
		}
		h.sent.Add(1)
	}
}

// progress waits until so many more requests were answered.
func (h *hammer) progress(n int64) {
	for until := h.sent.Load() + n; h.sent.Load() < until && !h.t.Failed(); {
		time.Sleep(time.Millisecond)
	}
}

// TestSwapsLoseNothing replaces a server again and again under clients that keep
// their connections.
func TestSwapsLoseNothing(t *testing.T) {
	const swaps = 20
	for _, test := range []struct{ network, address, config string }{
		{"tcp", "127.0.0.1:0", anyPort},
		{"unix", "", `{"listen":"unix:/any"}`},
		{"tcp", "127.0.0.1:0", `{"listen":"127.0.0.1:0","limits":{"max_connections":5}}`}, // fewer than clients
	} {
		t.Run(test.network, func(t *testing.T) {
			noLeaks(t)
			if test.network == "unix" {
				dir, err := os.MkdirTemp("", "httpin") // t.TempDir's names are too long for sockets
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				test.address = filepath.Join(dir, "s")
			}
			socket := listening(t, test.network, test.address)
			h := &hammer{t: t, url: "http://" + socket.Addr().String() + "/push"}
			if test.network == "unix" {
				h.url = "http://unix/push"
			}
			handlers := map[string]http.Handler{"/push": h}
			dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, socket.Addr().Network(), socket.Addr().String())
			}
			shared := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 8}
			current := generation(t, socket, test.config, handlers)
			for n := range 16 {
				transport := shared
				if n%2 == 0 {
					transport = &http.Transport{DialContext: dial}
				}
				h.working.Go(func() {
					defer transport.CloseIdleConnections()
					h.post(&http.Client{Transport: transport}, n)
				})
			}
			for range swaps {
				h.progress(100)
				next := generation(t, socket, test.config, handlers)
				drain(t, current)
				stop(t, current)
				current = next
			}
			h.progress(100)
			h.over.Store(true)
			h.working.Wait()
			shared.CloseIdleConnections()
			if h.sent.Load() != h.seen.Load() {
				t.Errorf("%d requests were answered, %d were served", h.sent.Load(), h.seen.Load())
			}
			t.Logf("%d requests over %d swaps", h.sent.Load(), swaps)
		})
	}
}

// conversation is a connection that says what the test says.
type conversation struct {
	net.Conn
	t      testing.TB
	reader *bufio.Reader
}

func dialSocket(t testing.TB, socket net.Listener) *conversation {
	t.Helper()
	conn, err := net.Dial(socket.Addr().Network(), socket.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &conversation{conn, t, bufio.NewReader(conn)}
}

func (c *conversation) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// hear reads an answer, and reports whether the server says that it will close.
func (c *conversation) hear(want string) (closing bool) {
	c.t.Helper()
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != want {
		c.t.Errorf("body %q, %v, want %q", body, err, want)
	}
	return response.Close
}

// ended wants the connection to end in order.
func (c *conversation) ended() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.reader); err != nil || len(rest) > 0 {
		c.t.Errorf("%q, %v", rest, err)
	}
}

const request = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

// drained is closed when the endpoint's drain is over.
func drained(t testing.TB, e *Endpoint) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		drain(t, e)
	}()
	for e.Addr() != nil { // until it has begun
		time.Sleep(time.Millisecond)
	}
	return over
}

// TestDrain answers on the connections there are, whatever state they are in, and
// leaves new ones to the next generation.
func TestDrain(t *testing.T) {
	noLeaks(t)
	socket := listening(t, "tcp", "127.0.0.1:0")
	handler := newWaiting()
	old := generation(t, socket, anyPort, map[string]http.Handler{"/a": saying("old"), "/wait": handler})
	idle, silent, slow, waiting := dialSocket(t, socket), dialSocket(t, socket), dialSocket(t, socket), dialSocket(t, socket)
	idle.say(request)
	if idle.hear("old") {
		t.Error("a connection is closed without need")
	}
	slow.say(request[:10])
	waiting.say("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
	<-handler.entered
	for n := 0; n < 4; time.Sleep(time.Millisecond) { // until all are accepted
		n, _ = old.server.connections.dismiss(time.Time{})
	}
	over := drained(t, old)
	next := generation(t, socket, anyPort, map[string]http.Handler{"/a": saying("new")})
	fresh := dialSocket(t, socket)
	fresh.say(request)
	if fresh.hear("new") {
		t.Error("the next generation closes its connections")
	}
	for _, c := range []*conversation{idle, silent} {
		c.say(request)
		if !c.hear("old") {
			t.Error("the answer does not say that the connection is closed")
		}
		c.ended()
	}
	slow.say(request[10:])
	if !slow.hear("old") {
		t.Error("the answer does not say that the connection is closed")
	}
	slow.ended()
	select {
	case <-over:
		t.Error("the drain is over with a request under way")
	default:
	}
	close(handler.proceed)
	waiting.hear("done")
	waiting.ended() // it is closed when it has been idle for long enough
	<-over
	stop(t, old)
	drain(t, next)
	fresh.ended()
}

// TestDrainEnds closes what is idle when its time is over, without a reset even if
// a request is on its way, which nobody serves.
func TestDrainEnds(t *testing.T) {
	noLeaks(t)
	socket := listening(t, "tcp", "127.0.0.1:0")
	var served atomic.Int32
	e := generation(t, socket, anyPort, map[string]http.Handler{"/a": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		served.Add(1)
	})})
	late := dialSocket(t, socket)
	late.say(request)
	late.hear("")
	e.server.connections.waitIdle(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := e.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	late.say(request)
	late.ended()
	late.Close()
	stop(t, e)
	if n := served.Load(); n != 1 {
		t.Errorf("%d requests were served", n)
	}
	if err := e.Drain(t.Context()); err != nil {
		t.Errorf("drain after stop: %v", err)
	}
}

// TestDrainClientHoldsOn gives up on a client that does not close.
func TestDrainClientHoldsOn(t *testing.T) {
	noLeaks(t)
	socket := listening(t, "tcp", "127.0.0.1:0")
	e := generation(t, socket, anyPort, map[string]http.Handler{"/a": saying("a")})
	c := dialSocket(t, socket)
	c.say(request)
	c.hear("a")
	drain(t, e)
	c.ended()
	for {
		if _, err := io.WriteString(c, request); err != nil {
			if !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Error(err)
			}
			return
		}
	}
}

func TestDrainWithoutStart(t *testing.T) {
	noLeaks(t)
	e := newEndpoint(t, newTestHost(t), configOf(t, anyPort), "/a", saying("a"))
	if err := e.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestDrainShared drains both endpoints of a server with the first.
func TestDrainShared(t *testing.T) {
	noLeaks(t)
	socket := listening(t, "tcp", "127.0.0.1:0")
	host := socketHost{newTestHost(t), socket}
	var both []*Endpoint
	for _, path := range []string{"/a", "/b"} {
		e, err := NewEndpoint(host, configOf(t, anyPort), map[string]http.Handler{path: saying(path)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { stop(t, e) })
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		both = append(both, e)
	}
	c := dialSocket(t, socket)
	c.say(request)
	c.hear("/a")
	over := drained(t, both[0])
	c.say("GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
	if !c.hear("/b") {
		t.Error("the answer does not say that the connection is closed")
	}
	c.ended()
	<-over
	stop(t, both[0])
	drain(t, both[1])
}

// TestDrainHijacked does not wait for connections that are somebody else's.
func TestDrainHijacked(t *testing.T) {
	noLeaks(t)
	socket := listening(t, "tcp", "127.0.0.1:0")
	taken := make(chan net.Conn, 1)
	e := generation(t, socket, anyPort, map[string]http.Handler{"/a": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- conn
	})})
	c := dialSocket(t, socket)
	c.say(request)
	conn := <-taken
	defer conn.Close()
	drain(t, e)
	stop(t, e)
	c.say("more")
	if _, err := io.ReadFull(conn, make([]byte, 4)); err != nil {
		t.Error(err)
	}
	if _, err := io.WriteString(conn, "answer"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 6)); err != nil {
		t.Error(err)
	}
}

// TestDrainTLS sends clients of both versions of HTTP away.
func TestDrainTLS(t *testing.T) {
	for _, version2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("version 2 %v", version2), func(t *testing.T) {
			noLeaks(t)
			socket := listening(t, "tcp", "127.0.0.1:0")
			a := newAuthority(t)
			a.save("server", "server")
			config := fmt.Sprintf(`{"listen":"127.0.0.1:0","tls":{"cert":%q,"key":%q}}`, a.path("server.pem"), a.path("server.key"))
			h := &hammer{t: t, url: "https://" + socket.Addr().String() + "/a", repeatable: version2}
			handlers := map[string]http.Handler{"/a": h}
			current := generation(t, socket, config, handlers)
			client := a.client("")
			if !version2 {
				transport := client.Transport.(*http.Transport)
				transport.ForceAttemptHTTP2 = false
				transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
			}
			for n := range 4 {
				h.working.Go(func() { h.post(client, n) })
			}
			for range 2 {
				h.progress(50)
				next := generation(t, socket, config, handlers)
				drain(t, current)
				stop(t, current)
				current = next
			}
			h.over.Store(true)
			h.working.Wait()
			drain(t, current) // with an idle connection
			if h.sent.Load() != h.seen.Load() {
				t.Errorf("%d requests were answered, %d were served", h.sent.Load(), h.seen.Load())
			}
		})
	}
}

// waitIdle waits until the server has noticed that no request is under way, which
// is a little after its answer was read.
func (s *connections) waitIdle(t *testing.T) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		s.mu.Lock()
		busy := false
		for c := range s.open {
			c.mu.Lock()
			busy = busy || c.busy
			c.mu.Unlock()
		}
		s.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-s.happened:
		case <-deadline:
			t.Fatal("a request is under way still")
		}
	}
}
