package peer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gammazero/nexus/v3/wamp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for; it decides nothing else.
const patience = 20 * time.Second

// memory is a connection in memory, whose reader the test is.
type memory struct {
	incoming chan []byte // what Read returns
	outgoing chan []byte // what was written; a full channel is a reader that is stuck
	mute     bool        // does not answer pings

	once   sync.Once
	closed chan struct{}
	mu     sync.Mutex
	code   peer.CloseCode
	reason string
}

func newMemory(window int) *memory {
	return &memory{incoming: make(chan []byte), outgoing: make(chan []byte, window), closed: make(chan struct{})}
}

func (m *memory) Read() ([]byte, error) {
	select {
	case data := <-m.incoming:
		return data, nil
	case <-m.closed:
		return nil, io.EOF
	}
}

func (m *memory) Write(messages [][]byte, deadline time.Time) error {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for _, message := range messages {
		select {
		case m.outgoing <- message:
		case <-m.closed:
			return io.ErrClosedPipe
		case <-timer.C:
			return os.ErrDeadlineExceeded
		}
	}
	return nil
}

func (m *memory) Ping(ctx context.Context) error {
	if !m.mute {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-m.closed:
		return io.EOF
	}
}

func (m *memory) Close(_ context.Context, code peer.CloseCode, reason string) {
	m.once.Do(func() {
		m.mu.Lock()
		m.code, m.reason = code, reason
		m.mu.Unlock()
		close(m.closed)
	})
}

func (m *memory) closedWith() (peer.CloseCode, string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.code, m.reason
}

// watcher is a guard that counts.
type watcher struct {
	mu      sync.Mutex
	dropped int
	ends    []peer.End
}

func (w *watcher) Incoming(msg wamp.Message) (pass, answer wamp.Message, err error) {
	switch m := msg.(type) {
	case *wamp.Publish:
		if m.Topic == "refuse" {
			return nil, &wamp.Error{Type: wamp.PUBLISH, Request: m.Request, Error: wamp.ErrInvalidURI}, nil
		}
	case *wamp.Call:
		return nil, nil, errors.New("no calls here")
	}
	return msg, nil, nil
}
func (w *watcher) Outgoing(msg wamp.Message) wamp.Message { return msg }
func (w *watcher) Dropped()                               { w.mu.Lock(); w.dropped++; w.mu.Unlock() }
func (w *watcher) Ended(end peer.End)                     { w.mu.Lock(); w.ends = append(w.ends, end); w.mu.Unlock() }

func (w *watcher) seen() (dropped int, ends []peer.End) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dropped, w.ends
}

func options(guard peer.Guard) peer.Options {
	return peer.Options{
		Codec: codec.Named("json"), QueueMessages: 8, QueueBytes: 1 << 20, Guard: guard,
		WriteTimeout: patience, PingInterval: time.Hour, PingTimeout: time.Hour,
	}
}

func event(n int) *wamp.Event {
	return &wamp.Event{Subscription: 1, Publication: wamp.ID(n), Details: wamp.Dict{}}
}

// wait fails the test when c is not closed in time.
func wait(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("waiting for: %s", what)
	}
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	conn, guard := newMemory(100), &watcher{}
	opts := options(guard)
	opts.QueueMessages = 100
	p := peer.New(conn, opts)
	for n := range 50 {
		p.Send() <- event(n + 1)
	}
	p.Send() <- &wamp.Goodbye{Reason: wamp.ErrSystemShutdown}
	p.Send() <- event(51) // nothing follows a farewell
	p.Close()
	p.Close()
	wait(t, "the end", p.Finished())
	if n := len(conn.outgoing); n != 51 {
		t.Fatalf("%d messages were written, want 50 events and GOODBYE", n)
	}
	for range 50 {
		<-conn.outgoing
	}
	if last := string(<-conn.outgoing); !strings.HasPrefix(last, "[6,") {
		t.Errorf("the last message is %s", last)
	}
	if code, _ := conn.closedWith(); code != peer.CloseNormal {
		t.Errorf("closed with %d", code)
	}
	if _, ends := guard.seen(); len(ends) != 1 || ends[0].Slow {
		t.Errorf("ends: %v", ends)
	}
	if _, open := <-p.Recv(); open {
		t.Error("the router is not told")
	}
	select {
	case p.Send() <- event(52): // late, like a broker that does not know yet
	default:
		t.Error("a late message blocks")
	}
}

func TestSlowConsumerIsEvicted(t *testing.T) {
	conn, guard := newMemory(1), &watcher{}
	p := peer.New(conn, options(guard))
	for n := range 1000 {
		p.Send() <- event(n + 1)
	}
	wait(t, "the eviction", p.Done())
	p.Close()
	wait(t, "the end", p.Finished())
	if _, ends := guard.seen(); len(ends) != 1 || !ends[0].Slow || ends[0].Code != peer.ClosePolicyViolation || ends[0].Reason != "slow consumer" {
		t.Errorf("ends: %+v", ends)
	}
}

func TestSlowConsumerByBytes(t *testing.T) {
	conn, guard := newMemory(1), &watcher{}
	opts := options(guard)
	opts.QueueMessages, opts.QueueBytes = 1<<20, 1000
	p := peer.New(conn, opts)
	for range 30 {
		p.Send() <- &wamp.Event{Subscription: 1, Publication: 1, Arguments: wamp.List{strings.Repeat("x", 100)}}
	}
	wait(t, "the end", p.Finished())
	if _, ends := guard.seen(); len(ends) != 1 || !ends[0].Slow {
		t.Errorf("ends: %+v", ends)
	}
}

func TestSlowConsumerMissesEventsOnly(t *testing.T) {
	conn, guard := newMemory(1), &watcher{}
	opts := options(guard)
	opts.DropEvents = true
	p := peer.New(conn, opts)
	for n := range 100 {
		p.Send() <- event(n + 1)
	}
	for dropped := 0; dropped == 0; dropped, _ = guard.seen() {
		runtime.Gosched()
	}
	select {
	case <-p.Done():
		t.Fatal("evicted for events")
	default:
	}
	p.Send() <- &wamp.Subscribed{Request: 1, Subscription: 1} // not to be missed, and there is no room
	wait(t, "the end", p.Finished())
	if _, ends := guard.seen(); len(ends) != 1 || !ends[0].Slow {
		t.Errorf("ends: %+v", ends)
	}
}

func TestWriteTimeout(t *testing.T) {
	conn, guard := newMemory(0), &watcher{}
	opts := options(guard)
	opts.WriteTimeout = 10 * time.Millisecond
	p := peer.New(conn, opts)
	p.Send() <- event(1)
	wait(t, "the end", p.Finished())
	if _, ends := guard.seen(); len(ends) != 1 || !ends[0].Slow || ends[0].Code != peer.CloseNow {
		t.Errorf("ends: %+v", ends)
	}
}

func TestNoSignOfLife(t *testing.T) {
	conn, guard := newMemory(0), &watcher{}
	conn.mute = true
	opts := options(guard)
	opts.PingInterval, opts.PingTimeout = 10*time.Millisecond, 10*time.Millisecond
	p := peer.New(conn, opts)
	p.Send() <- event(1) // the writer is stuck, which must not matter
	wait(t, "the end", p.Finished())
	if _, ends := guard.seen(); len(ends) != 1 || ends[0].Reason != "no sign of life" {
		t.Errorf("ends: %+v", ends)
	}
}

func TestViolation(t *testing.T) {
	for _, data := range []string{`{}`, `[16,0,{},"t"]`, `[48,1,{},"p"]`} {
		conn, guard := newMemory(10), &watcher{}
		p := peer.New(conn, options(guard))
		conn.incoming <- []byte(data)
		wait(t, "the end", p.Finished())
		if abort := string(<-conn.outgoing); !strings.Contains(abort, "wamp.error.protocol_violation") {
			t.Errorf("%s is answered with %s", data, abort)
		}
		if code, _ := conn.closedWith(); code != peer.CloseProtocolError {
			t.Errorf("%s: closed with %d", data, code)
		}
	}
}

func TestGuardAnswers(t *testing.T) {
	conn := newMemory(10)
	p := peer.New(conn, options(&watcher{}))
	conn.incoming <- []byte(`[16,1,{},"refuse"]`)
	if answer := string(<-conn.outgoing); answer != `[8,16,1,{},"wamp.error.invalid_uri"]` {
		t.Errorf("answer %s", answer)
	}
	conn.incoming <- []byte(`[16,2,{},"pass"]`)
	if msg := <-p.Recv(); msg.(*wamp.Publish).Topic != "pass" {
		t.Errorf("passed %v", msg)
	}
	p.End(peer.End{Code: peer.CloseNow})
	wait(t, "the end", p.Finished())
}

func TestGoodbye(t *testing.T) {
	conn := newMemory(10)
	p := peer.New(conn, options(nil))
	p.Goodbye(wamp.ErrSystemShutdown)
	p.Send() <- event(1)
	if msg := string(<-conn.outgoing); msg != `[6,{},"wamp.close.system_shutdown"]` {
		t.Errorf("got %s", msg)
	}
	conn.incoming <- []byte(`[6,{},"wamp.close.goodbye_and_out"]`)
	if _, ok := (<-p.Recv()).(*wamp.Goodbye); !ok {
		t.Error("the router is not told of the answer")
	}
	p.Close()
	wait(t, "the end", p.Finished())
	if n := len(conn.outgoing); n != 0 {
		t.Errorf("%d messages after GOODBYE", n)
	}
}

// TestBusyRouterLosesNothing writes as the router's broker does, which drops
// what does not fit, faster than any reader could read.
func TestBusyRouterLosesNothing(t *testing.T) {
	const n = 50_000
	conn := newMemory(n)
	opts := options(nil)
	opts.QueueMessages, opts.QueueBytes = n, 1<<30
	p := peer.New(conn, opts)
	lost := 0
	for i := range n {
		select {
		case p.Send() <- event(i + 1):
		default:
			lost++
		}
	}
	for i := range n - lost {
		want := fmt.Sprintf(`[36,1,%d,{}]`, i+1)
		if got := string(<-conn.outgoing); lost == 0 && got != want {
			t.Fatalf("message %d is %s", i, got)
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d messages lost", lost, n)
	}
	p.Close()
	wait(t, "the end", p.Finished())
}

func TestCloseUnderLoad(t *testing.T) {
	for range 100 {
		conn := newMemory(4)
		opts := options(nil)
		opts.QueueMessages, opts.DropEvents = 64, true
		p := peer.New(conn, opts)
		stop := make(chan struct{})
		var writers sync.WaitGroup
		for range 4 {
			writers.Go(func() {
				for {
					select {
					case <-stop:
						return
					case p.Send() <- event(1):
					default:
						runtime.Gosched()
					}
				}
			})
		}
		writers.Go(func() { // a reader, and a sender, until the end
			for {
				select {
				case <-conn.outgoing:
				case conn.incoming <- []byte(`[16,1,{},"t"]`):
				case <-p.Recv():
				case <-p.Finished():
					return
				}
			}
		})
		p.Close()
		wait(t, "the end", p.Finished())
		close(stop)
		writers.Wait()
	}
}

// serve runs a server that makes each connection a peer.
func serve(t *testing.T, c *codec.Codec, opts peer.Options) (url string, peers <-chan *peer.Peer) {
	made := make(chan *peer.Peer, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := peer.Accept(w, r, c, 1<<17)
		if err != nil {
			return
		}
		opts.Codec = c
		made <- peer.New(conn, opts)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http"), made
}

func TestFrames(t *testing.T) {
	for _, name := range codec.Names() {
		c := codec.Named(name)
		url, peers := serve(t, c, options(nil))
		client, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{c.Subprotocol()}})
		if err != nil {
			t.Fatal(err)
		}
		client.SetReadLimit(-1)
		p := <-peers
		for _, size := range []int{0, 50, 80, 81, 82, 83, 100, 1 << 12, 65470, 65480, 65490, 65500, 65536, 1 << 20} {
			sent := &wamp.Publish{Request: 1, Options: wamp.Dict{}, Topic: "t", Arguments: wamp.List{strings.Repeat("x", size)}}
			p.Send() <- sent
			kind, data, err := client.Read(t.Context())
			if err != nil {
				t.Fatalf("%s, %d bytes: %v", name, size, err)
			}
			if (kind == websocket.MessageBinary) != c.Binary() {
				t.Errorf("%s: frame type %v", name, kind)
			}
			msg, err := c.Decode(data)
			if err != nil || len(msg.(*wamp.Publish).Arguments[0].(string)) != size {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
		}
		p.Close()
		if _, _, err := client.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
			t.Errorf("%s: closed with %v", name, err)
		}
		wait(t, "the end", p.Finished())
	}
}

// TestManyMessages sends more than fits into one write, in order.
func TestManyMessages(t *testing.T) {
	opts := options(nil)
	opts.QueueMessages, opts.QueueBytes = 1<<20, 1<<30
	url, peers := serve(t, codec.Named("cbor"), opts)
	client, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.cbor"}})
	if err != nil {
		t.Fatal(err)
	}
	p := <-peers
	const n = 20_000
	go func() {
		for i := range n {
			p.Send() <- event(i + 1)
		}
		p.Close()
	}()
	for i := range n {
		_, data, err := client.Read(t.Context())
		if err != nil {
			t.Fatalf("message %d: %v", i, err)
		}
		msg, err := codec.Named("cbor").Decode(data)
		if err != nil || msg.(*wamp.Event).Publication != wamp.ID(i+1) {
			t.Fatalf("message %d is %v, %v", i, msg, err)
		}
	}
	if _, _, err := client.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("closed with %v", err)
	}
	wait(t, "the end", p.Finished())
}

func TestForbiddenFrames(t *testing.T) {
	tests := []struct {
		name string
		kind websocket.MessageType
		data string
		want websocket.StatusCode
	}{
		{"wrong frame type", websocket.MessageBinary, `[16,1,{},"t"]`, websocket.StatusProtocolError},
		{"too big", websocket.MessageText, `[16,1,{},"` + strings.Repeat("t", 1<<17) + `"]`, websocket.StatusMessageTooBig},
		{"no message", websocket.MessageText, `[`, websocket.StatusProtocolError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			guard := &watcher{}
			url, peers := serve(t, codec.Named("json"), options(guard))
			client, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.json"}})
			if err != nil {
				t.Fatal(err)
			}
			p := <-peers
			if err := client.Write(t.Context(), tt.kind, []byte(tt.data)); err != nil {
				t.Fatal(err)
			}
			for err == nil { // an ABORT may come first
				_, _, err = client.Read(t.Context())
			}
			if got := websocket.CloseStatus(err); got != tt.want {
				t.Errorf("closed with %v, want %v", err, tt.want)
			}
			wait(t, "the end", p.Finished())
		})
	}
}

// TestReaderThatStops has a client that never reads: the server must be rid of
// it by itself.
func TestReaderThatStops(t *testing.T) {
	guard := &watcher{}
	opts := options(guard)
	opts.QueueMessages, opts.QueueBytes = 1<<20, 1<<30
	opts.WriteTimeout = 100 * time.Millisecond
	url, peers := serve(t, codec.Named("json"), opts)
	client, _, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.json"}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseNow()
	p := <-peers
	big := &wamp.Event{Subscription: 1, Publication: 1, Arguments: wamp.List{strings.Repeat("x", 1<<20)}}
	for range 32 {
		p.Send() <- big
	}
	wait(t, "the end", p.Finished())
	if _, ends := guard.seen(); len(ends) != 1 || !ends[0].Slow {
		t.Errorf("ends: %+v", ends)
	}
}

func TestDial(t *testing.T) {
	for _, name := range codec.Names() {
		c := codec.Named(name)
		url, peers := serve(t, c, options(nil))
		conn, err := peer.Dial(t.Context(), peer.DialOptions{URL: url, Codec: c, MaxMessage: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		opts := options(nil)
		opts.Codec = c
		here, there := peer.New(conn, opts), <-peers
		sent := &wamp.Publish{Request: 1, Options: wamp.Dict{}, Topic: "t", Arguments: wamp.List{strings.Repeat("x", 1<<16)}}
		here.Send() <- sent
		if got := (<-there.Recv()).(*wamp.Publish); got.Arguments[0] != sent.Arguments[0] {
			t.Error("the message has changed")
		}
		there.Send() <- event(1)
		if got := (<-here.Recv()).(*wamp.Event); got.Publication != 1 {
			t.Error("the event has changed")
		}
		here.Close()
		wait(t, "this end", here.Finished())
		wait(t, "the other end", there.Finished())
	}
}

func TestDialFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		case "/forbidden":
			http.Error(w, "no", http.StatusForbidden)
		default:
			ws, err := websocket.Accept(w, r, nil) // without our subprotocol
			if err == nil {
				defer ws.CloseNow()
				_, _, _ = ws.Read(r.Context())
			}
		}
	}))
	defer server.Close()
	for path, want := range map[string]int{"/redirect": 307, "/forbidden": 403, "/": 0} {
		_, err := peer.Dial(t.Context(), peer.DialOptions{URL: "ws" + strings.TrimPrefix(server.URL, "http") + path, Codec: codec.Named("json")})
		var dial *peer.DialError
		if !errors.As(err, &dial) || dial.Status != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestPipe(t *testing.T) {
	client, router := peer.NewPipe("id", "role")
	if router.AuthID != "id" || router.AuthRole != "role" || !router.IsLocal() {
		t.Errorf("%+v", router)
	}
	go func() { client.Send() <- event(1) }()
	<-router.Recv()
	router.Send() <- event(2)
	<-client.Recv()
	router.Close()
	router.Close()
	wait(t, "the end", client.Done())
	select {
	case router.Send() <- event(3):
	default:
		t.Error("a late message blocks")
	}
	client.Close()
	client.Close()
	if _, open := <-router.Recv(); open {
		t.Error("the router is not told")
	}
}
