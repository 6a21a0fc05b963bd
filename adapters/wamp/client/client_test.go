package client_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/stdlog"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	ownauth "github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/client"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	own "github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// quiet is the router's log.
type quiet struct{}

func (quiet) Print(...any)          {}
func (quiet) Println(...any)        {}
func (quiet) Printf(string, ...any) {}

var _ stdlog.StdLog = quiet{}

// secrets are the users of the test's router.
type secrets struct{ method string }

func (s secrets) AuthKey(id, _ string) ([]byte, error) {
	if id != "joe" {
		return nil, errors.New("unknown")
	}
	if s.method == "wampcra" {
		return []byte("s3cret"), nil
	}
	return []byte("t1cket"), nil
}
func (secrets) PasswordInfo(string) (string, int, int) { return "", 0, 0 }
func (secrets) AuthRole(string) (string, error)        { return "user", nil }
func (secrets) Provider() string                       { return "static" }

// outside is a router of the library on an address of its own, with the
// library's transport.
type outside struct {
	router router.Router
	server *http.Server
	done   chan struct{}
}

// startOutside starts a router that is stopped when its clients are: closing it
// under them is more than it is safe for.
func startOutside(t testing.TB, listen string) *outside {
	t.Helper()
	r, err := router.NewRouter(&router.Config{RealmConfigs: []*router.RealmConfig{{
		URI: "realm1", AnonymousAuth: true, AllowDisclose: true,
		Authenticators: []auth.Authenticator{
			auth.NewTicketAuthenticator(secrets{"ticket"}, time.Second), auth.NewCRAuthenticator(secrets{"wampcra"}, time.Second),
		},
	}}}, quiet{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	transport := router.NewWebsocketServer(r)
	transport.OutQueueSize = 4 * session.Window // it drops answers that do not fit
	o := &outside{router: r, server: &http.Server{Handler: transport}, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		_ = o.server.Serve(listener)
	}()
	t.Cleanup(o.stop)
	return o
}

func (o *outside) stop() {
	o.router.Close()
	o.server.Close()
	<-o.done
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// start starts a client of the router at the address.
func start(t testing.TB, listen string, change func(*client.Options)) *client.Client {
	t.Helper()
	counts, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	options := client.Options{
		Dial: peer.DialOptions{URL: "ws://" + listen + "/ws", Codec: codec.Named("json"), MaxMessage: 1 << 20},
		Peer: peer.Options{
			QueueMessages: 1 << 20, QueueBytes: 1 << 30, WriteTimeout: Patience, PingInterval: Patience, PingTimeout: Patience,
		},
		Hello:          session.Hello{Realm: "realm1", Method: "anonymous"},
		ConnectTimeout: Patience, AckTimeout: Patience,
		Backoff:    client.Backoff{Initial: time.Millisecond, Factor: 2, Cap: 10 * time.Millisecond},
		QueueItems: 100, QueueBytes: 1 << 20, TTL: Patience,
		Log: coretest.Logger(t), Metrics: counts,
	}
	if change != nil {
		change(&options)
	}
	c := client.New(options)
	t.Cleanup(func() { stop(c, Patience) })
	c.Start()
	return c
}

func stop(c *client.Client, patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c.Stop(ctx)
}

// until waits until the client has joined, or not.
func until(t testing.TB, c *client.Client, joined bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); (c.Check() == nil) != joined; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("joined: %v, want %v: %v", !joined, joined, c.Check())
		}
	}
}

// untilError waits until the client says why it has not joined.
func untilError(t testing.TB, c *client.Client, part string) {
	t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		err := c.Check()
		if err != nil && strings.Contains(err.Error(), part) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("want an error with %q, got %v", part, err)
		}
	}
}

// answer is what became of a publication.
type answer struct {
	session.Outcome
	err error
}

// publish publishes a number and returns where its answer comes.
func publish(t testing.TB, c *client.Client, n int) <-chan answer {
	t.Helper()
	answers := make(chan answer, 1)
	err := c.Publish(t.Context(), &wamp.Publish{
		Options: wamp.Dict{"acknowledge": true, "exclude_me": true}, Topic: "topic", Arguments: wamp.List{int64(n)},
	}, 1, func(o session.Outcome, err error) { answers <- answer{o, err} })
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

func wait(t testing.TB, answers <-chan answer) answer {
	t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(Patience):
		t.Fatal("a publication has no answer")
		return answer{}
	}
}

func TestPublish(t *testing.T) {
	listen := freeAddress(t)
	startOutside(t, listen)
	for _, serializer := range codec.Names() {
		c := start(t, listen, func(o *client.Options) { o.Dial.Codec = codec.Named(serializer) })
		raw := Join(t, "ws://"+listen, "json", "realm1")
		raw.Subscribe("topic", "exact")
		for n := range 10 {
			a := wait(t, publish(t, c, n))
			event := Receive[*wamp.Event](raw)
			if a.err != nil || a.Lost != nil || a.Refused != nil || a.Publication != event.Publication || event.Arguments[0] != int64(n) {
				t.Errorf("%s: answer %+v, event %+v", serializer, a, event)
			}
		}
		refused := make(chan answer, 1)
		err := c.Publish(t.Context(), &wamp.Publish{Options: wamp.Dict{"acknowledge": true}, Topic: "a..b"}, 1,
			func(o session.Outcome, err error) { refused <- answer{o, err} })
		if err != nil {
			t.Fatal(err)
		}
		if a := wait(t, refused); a.Refused == nil || a.Refused.Error != wamp.ErrInvalidURI {
			t.Errorf("an invalid topic: %+v", a)
		}
		stop(c, Patience)
		raw.Close()
	}
}

// TestOrder publishes faster than the window and wants order.
func TestOrder(t *testing.T) {
	listen := freeAddress(t)
	startOutside(t, listen)
	c := start(t, listen, nil)
	until(t, c, true)
	const n = 5000
	var answers []<-chan answer
	for i := range n {
		answers = append(answers, publish(t, c, i))
	}
	for i, a := range answers {
		if got := wait(t, a); got.err != nil || got.Lost != nil {
			t.Fatalf("publication %d: %+v", i, got)
		}
	}
}

func TestSubscription(t *testing.T) {
	listen := freeAddress(t)
	startOutside(t, listen)
	events := make(chan *wamp.Event, 10)
	c := start(t, listen, func(o *client.Options) {
		o.Subscriptions = []client.Subscription{{Topic: "topic", Match: "prefix", Handler: func(e *wamp.Event) { events <- e }}}
	})
	until(t, c, true)
	wait(t, publish(t, c, 1)) // an echo would come first
	raw := Join(t, "ws://"+listen, "json", "realm1")
	raw.Send(&wamp.Publish{Request: 1, Topic: "topic.x", Arguments: wamp.List{"hello"}})
	if event := <-events; event.Details["topic"] != "topic.x" || event.Arguments[0] != "hello" {
		t.Errorf("event %+v", event)
	}
	raw.Close()
}

func TestLogins(t *testing.T) {
	listen := freeAddress(t)
	startOutside(t, listen)
	cryptosign, err := client.Cryptosign("realm1", "joe", strings.Repeat("0f", 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		hello session.Hello
		error string
	}{
		"anonymous":            {session.Hello{Realm: "realm1", Method: "anonymous"}, ""},
		"ticket":               {client.Ticket("realm1", "joe", "t1cket"), ""},
		"ticket, wrong":        {client.Ticket("realm1", "joe", "wrong"), "wamp.error.authentication_failed"},
		"wampcra":              {client.WAMPCRA("realm1", "joe", "s3cret"), ""},
		"wampcra, wrong":       {client.WAMPCRA("realm1", "joe", "wrong"), "wamp.error.authentication_failed"},
		"no such realm":        {client.Ticket("nowhere", "joe", "t1cket"), "wamp.error.no_such_realm"},
		"a method that is not": {cryptosign, "wamp.error.authentication_failed"},
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t, listen, func(o *client.Options) { o.Hello = tt.hello })
			if tt.error == "" {
				until(t, c, true)
			} else {
				untilError(t, c, tt.error)
			}
		})
	}
}

// TestCryptosign checks the answer itself; the whole login is tested with the
// router of mode router.
func TestCryptosign(t *testing.T) {
	seed := strings.Repeat("ab", 32)
	hello, err := client.Cryptosign("realm1", "", seed+"\n")
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := hex.DecodeString(seed)
	public := ed25519.NewKeyFromSeed(raw).Public().(ed25519.PublicKey)
	if hello.Extra["pubkey"] != hex.EncodeToString(public) {
		t.Errorf("public key %v", hello.Extra)
	}
	challenge := strings.Repeat("01", 32)
	answer, err := hello.Answer(&wamp.Challenge{Extra: wamp.Dict{"challenge": challenge, "channel_binding": nil}})
	if err != nil {
		t.Fatal(err)
	}
	signed, _ := hex.DecodeString(answer)
	if len(signed) != 96 || hex.EncodeToString(signed[64:]) != challenge || !ed25519.Verify(public, signed[64:], signed[:64]) {
		t.Errorf("answer %s", answer)
	}
	for _, extra := range []wamp.Dict{{"challenge": challenge, "channel_binding": "tls-unique"}, {"challenge": "00"}, {}} {
		if _, err := hello.Answer(&wamp.Challenge{Extra: extra}); !errors.Is(err, client.ErrCannotLogin) {
			t.Errorf("%v: %v", extra, err)
		}
	}
	if _, err := client.Cryptosign("r", "", "00"); err == nil {
		t.Error("a short key is taken")
	}
}

func TestWAMPCRALimits(t *testing.T) {
	hello := client.WAMPCRA("realm1", "joe", "secret")
	for _, extra := range []wamp.Dict{
		{}, {"challenge": 5}, {"challenge": "x", "salt": "s", "iterations": 1 << 40}, {"challenge": "x", "salt": "s", "keylen": -1},
	} {
		if _, err := hello.Answer(&wamp.Challenge{Extra: extra}); !errors.Is(err, client.ErrCannotLogin) {
			t.Errorf("%v: %v", extra, err)
		}
	}
}

// ownRouter runs the router of mode router at the address, which survives being
// closed under its clients.
func ownRouter(t testing.TB, listen string) (stop func()) {
	t.Helper()
	counts, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	all := permission.Rule{Match: permission.Prefix}
	all.Allow[permission.Publish], all.Allow[permission.Subscribe] = true, true
	r, err := own.New(own.Options{
		Realms: []own.Realm{{
			Name:      "realm1",
			Policy:    &own.Policy{Roles: map[string]*permission.Set{"anonymous": permission.NewSet([]permission.Rule{all})}},
			Directory: &ownauth.Directory{Anonymous: &ownauth.Anonymous{Role: "anonymous"}},
		}},
		Codecs: []*codec.Codec{codec.Named("json")},
		Limits: own.Limits{
			Peer: peer.Options{
				QueueMessages: 4096, QueueBytes: 8 << 20, WriteTimeout: Patience, PingInterval: Patience, PingTimeout: Patience,
			},
			ClientOf:   func(*http.Request) own.Client { return own.Client{} },
			MaxMessage: 1 << 20, MaxURI: 100, MaxSessions: 10, MaxSubscriptions: 10, PublishRate: rate.Inf,
			HelloTimeout: time.Second,
		},
		Log: coretest.Logger(t), Metrics: counts,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: r}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return func() {
		server.Close()
		<-done
		r.Close(context.Background())
	}
}

// TestRestart restarts the router: publications wait for it in order.
func TestRestart(t *testing.T) {
	listen := freeAddress(t)
	c := start(t, listen, nil) // the router is not there yet
	untilError(t, c, "connection refused")
	var answers []<-chan answer
	for n := range 5 {
		answers = append(answers, publish(t, c, n))
	}
	stopRouter := ownRouter(t, listen)
	for n, a := range answers {
		if got := wait(t, a); got.err != nil || got.Publication == 0 {
			t.Errorf("publication %d: %+v", n, got)
		}
	}
	stopRouter()
	until(t, c, false)
	waiting := publish(t, c, 6)
	defer ownRouter(t, listen)()
	if got := wait(t, waiting); got.err != nil || got.Publication == 0 {
		t.Errorf("after the restart: %+v", got)
	}
}

func TestQueueIsBounded(t *testing.T) {
	c := start(t, freeAddress(t), func(o *client.Options) { o.QueueItems, o.QueueBytes = 3, 10 })
	for n := range 3 {
		publish(t, c, n)
	}
	full := func(size int) error {
		return c.Publish(t.Context(), &wamp.Publish{}, size, func(session.Outcome, error) {})
	}
	if err := full(1); !errors.Is(err, client.ErrFull) {
		t.Errorf("too many: %v", err)
	}
	stop(c, 10*time.Millisecond)
	if err := full(1); !errors.Is(err, client.ErrStopped) {
		t.Errorf("after stop: %v", err)
	}
	c = start(t, freeAddress(t), func(o *client.Options) { o.QueueBytes = 10 })
	publish(t, c, 1)
	if err := full(10); !errors.Is(err, client.ErrFull) {
		t.Errorf("too large: %v", err)
	}
	stop(c, 10*time.Millisecond)
}

func TestExpiry(t *testing.T) {
	c := start(t, freeAddress(t), func(o *client.Options) { o.TTL = 20 * time.Millisecond })
	if got := wait(t, publish(t, c, 1)); !errors.Is(got.err, client.ErrExpired) {
		t.Errorf("got %+v", got)
	}
}

func TestStopAnswers(t *testing.T) {
	c := start(t, freeAddress(t), nil)
	waiting := publish(t, c, 1)
	stop(c, 10*time.Millisecond)
	if got := wait(t, waiting); !errors.Is(got.err, client.ErrStopped) {
		t.Errorf("got %+v", got)
	}
}

// mute is a router that takes publications and answers none until it is told.
type mute struct {
	*httptest.Server
	publications chan *wamp.Publish
	connections  atomic.Int64
	answer       func(conn int64) bool // whether that connection answers
	cut          chan struct{}         // a token cuts one connection
}

func startMute(t testing.TB, answer func(int64) bool) *mute {
	m := &mute{publications: make(chan *wamp.Publish, 10_000), cut: make(chan struct{}), answer: answer}
	m.Server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.Server.Close)
	return m
}

func (m *mute) listen() string { return strings.TrimPrefix(m.URL, "http://") }

func (m *mute) serve(w http.ResponseWriter, r *http.Request) {
	number := m.connections.Add(1)
	c := codec.Named("json")
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{c.Subprotocol()}})
	if err != nil {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	var cutting sync.WaitGroup
	defer cutting.Wait()
	defer cancel()
	defer ws.CloseNow()
	cutting.Go(func() {
		select {
		case <-m.cut:
			ws.CloseNow()
		case <-ctx.Done():
		}
	})
	send := func(msg wamp.Message) {
		data, _ := c.Encode(msg)
		_ = ws.Write(ctx, websocket.MessageText, data)
	}
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		msg, err := c.Decode(data)
		if err != nil {
			return
		}
		switch msg := msg.(type) {
		case *wamp.Hello:
			send(&wamp.Welcome{ID: wamp.GlobalID(), Details: wamp.Dict{"roles": wamp.Dict{"broker": wamp.Dict{}}}})
		case *wamp.Publish:
			m.publications <- msg
			if m.answer(number) {
				send(&wamp.Published{Request: msg.Request, Publication: wamp.GlobalID()})
			}
		case *wamp.Goodbye:
			send(&wamp.Goodbye{Reason: wamp.ErrGoodbyeAndOut})
		}
	}
}

func TestLostUnanswered(t *testing.T) {
	m := startMute(t, func(int64) bool { return false })
	c := start(t, m.listen(), nil)
	until(t, c, true)
	waiting := publish(t, c, 1)
	<-m.publications
	m.cut <- struct{}{}
	if got := wait(t, waiting); got.err != nil || got.Lost == nil {
		t.Errorf("got %+v", got)
	}
	stop(c, 10*time.Millisecond)
}

// TestResend loses a session with many unanswered publications, and wants them
// again in the next, in order, before later ones.
func TestResend(t *testing.T) {
	m := startMute(t, func(conn int64) bool { return conn > 1 })
	c := start(t, m.listen(), func(o *client.Options) { o.Resend, o.QueueItems = true, 10_000 })
	until(t, c, true)
	const n = 2000 // more than the window
	answers := make([]<-chan answer, n)
	for i := range n {
		answers[i] = publish(t, c, i)
	}
	for range session.Window {
		<-m.publications
	}
	m.cut <- struct{}{}
	for i := range n {
		if got := (<-m.publications).Arguments[0]; got != int64(i) {
			t.Fatalf("publication %d is %v", i, got)
		}
		if got := wait(t, answers[i]); got.Publication == 0 {
			t.Fatalf("publication %d: %+v", i, got)
		}
	}
}

func TestAckTimeout(t *testing.T) {
	m := startMute(t, func(int64) bool { return false })
	c := start(t, m.listen(), func(o *client.Options) { o.AckTimeout = 50 * time.Millisecond })
	until(t, c, true)
	if got := wait(t, publish(t, c, 1)); got.Lost != session.ErrNoAnswer {
		t.Errorf("got %+v", got)
	}
	if c.Check() != nil {
		t.Error("the session is gone")
	}
}

// TestHalfOpen has a router that stops reading: the client must notice by
// itself, by the write deadline or by the missing pong.
func TestHalfOpen(t *testing.T) {
	stopped := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := codec.Named("json")
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{c.Subprotocol()}})
		if err != nil {
			return
		}
		defer ws.CloseNow()
		if _, _, err := ws.Read(r.Context()); err != nil {
			return
		}
		data, _ := c.Encode(&wamp.Welcome{ID: 1, Details: wamp.Dict{"roles": wamp.Dict{"broker": wamp.Dict{}}}})
		if ws.Write(r.Context(), websocket.MessageText, data) == nil {
			<-stopped
		}
	}))
	defer server.Close()
	defer close(stopped)
	for name, change := range map[string]func(*client.Options){
		"by the write deadline": func(o *client.Options) { o.Peer.WriteTimeout = 50 * time.Millisecond },
		"by the missing pong": func(o *client.Options) {
			o.Peer.PingInterval, o.Peer.PingTimeout = 20*time.Millisecond, 20*time.Millisecond
		},
	} {
		c := start(t, strings.TrimPrefix(server.URL, "http://"), change)
		until(t, c, true)
		var answers []<-chan answer
		for range 40 { // more than the buffers of the system hold
			answers = append(answers, publishBig(t, c))
		}
		if got := wait(t, answers[0]); got.Lost == nil {
			t.Errorf("%s: %+v", name, got)
		}
		stop(c, 10*time.Millisecond)
	}
}

func publishBig(t testing.TB, c *client.Client) <-chan answer {
	answers := make(chan answer, 1)
	err := c.Publish(t.Context(), &wamp.Publish{
		Options: wamp.Dict{}, Topic: "topic", Arguments: wamp.List{strings.Repeat("x", 1<<20)},
	}, 1, func(o session.Outcome, err error) { answers <- answer{o, err} })
	if err != nil {
		t.Fatal(err)
	}
	return answers
}

// TestManyReconnects loses a thousand sessions and wants no goroutine to stay.
func TestManyReconnects(t *testing.T) {
	sessions := int64(1000)
	if testing.Short() {
		sessions = 50
	}
	m := startMute(t, func(int64) bool { return true })
	c := start(t, m.listen(), func(o *client.Options) {
		o.Backoff = client.Backoff{Initial: time.Microsecond, Factor: 1, Cap: time.Microsecond}
	})
	until(t, c, true)
	before := runtime.NumGoroutine()
	for m.connections.Load() < sessions {
		m.cut <- struct{}{}
	}
	until(t, c, true)
	for deadline := time.Now().Add(Patience); runtime.NumGoroutine() > before+5; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestBackpressure wants a publisher to wait while the window is full and there
// is a session, and to be let go.
func TestBackpressure(t *testing.T) {
	m := startMute(t, func(int64) bool { return false })
	c := start(t, m.listen(), func(o *client.Options) { o.QueueItems = 10 })
	until(t, c, true)
	for n := range session.Window + 11 { // the window, one in hand, the queue
		publish(t, c, n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.Publish(ctx, &wamp.Publish{}, 1, func(session.Outcome, error) {})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("it did not wait: %v", err)
	}
	stop(c, 10*time.Millisecond)
}
