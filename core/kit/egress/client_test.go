package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// anywhere is a policy for the test's own servers.
var anywhere = Policy{Anywhere: true}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

func get(t *testing.T, c *Client, url string) (*Response, error) {
	t.Helper()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(t.Context(), request, 100)
}

// names is a DNS server; its answers may change between two questions.
type names struct {
	mu      sync.Mutex
	answers map[string][]string
	asked   int
}

func (n *names) set(name string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answers[name+"."] = addresses
}

// newNames starts the server and returns a resolver that asks it.
func newNames(t *testing.T) (*names, *net.Resolver) {
	t.Helper()
	n := &names{answers: make(map[string][]string)}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { n.serve(socket) })
	t.Cleanup(func() {
		socket.Close()
		serving.Wait()
	})
	return n, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", socket.LocalAddr().String())
	}}
}

func (n *names) serve(socket net.PacketConn) {
	buffer := make([]byte, 1500)
	for {
		size, from, err := socket.ReadFrom(buffer)
		if err != nil {
			return
		}
		var question dnsmessage.Message
		if question.Unpack(buffer[:size]) != nil || len(question.Questions) != 1 {
			continue
		}
		answer, err := n.answer(question)
		if err == nil {
			_, _ = socket.WriteTo(answer, from)
		}
	}
}

func (n *names) answer(m dnsmessage.Message) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	q := m.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, Authoritative: true}, Questions: m.Questions}
	for _, text := range n.answers[q.Name.String()] {
		address := netip.MustParseAddr(text)
		header := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: dnsmessage.ClassINET}
		switch {
		case address.Is4() && q.Type == dnsmessage.TypeA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
		case address.Is6() && q.Type == dnsmessage.TypeAAAA:
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
		}
	}
	return reply.Pack()
}

// serverAt serves at an address of its own.
func serverAt(t *testing.T, address string, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(handler)
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// A name that leads elsewhere the second time is checked the second time too, on
// the very address that would be connected to.
func TestRebinding(t *testing.T) {
	good := serverAt(t, "127.0.0.1:0", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // the next request looks the name up again
	})
	_, port, _ := net.SplitHostPort(good.Listener.Addr().String())
	serverAt(t, "127.0.0.2:"+port, func(http.ResponseWriter, *http.Request) { t.Error("the forbidden address was reached") })
	names, resolver := newNames(t)
	c := newClient(t, Options{Policy: Policy{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, Resolver: resolver})

	names.set("rebind.test", "127.0.0.1")
	if response, err := get(t, c, "http://rebind.test:"+port); err != nil || response.Status != 200 {
		t.Fatalf("%+v, %v", response, err)
	}
	names.set("rebind.test", "127.0.0.2")
	_, err := get(t, c, "http://rebind.test:"+port)
	var forbidden *Forbidden
	if !errors.As(err, &forbidden) {
		t.Errorf("error %v", err)
	}
}

// Of several addresses the forbidden ones are skipped.
func TestSeveralAddresses(t *testing.T) {
	server := serverAt(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	names, resolver := newNames(t)
	names.set("many.test", "10.0.0.1", "169.254.169.254", "127.0.0.1")
	names.set("none.test", "10.0.0.1", "::1", "127.0.0.2")
	names.set("closed.test", "10.0.0.1", "127.0.0.3")
	names.set("internal.test", "127.0.0.1")
	policy, err := ParsePolicy([]string{"127.0.0.1", "127.0.0.3", "internal.test"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, Options{Policy: policy, Resolver: resolver})
	for host, want := range map[string]string{"many.test": "reached", "internal.test": "reached", "none.test": "forbidden", "closed.test": "failed"} {
		_, err := get(t, c, "http://"+host+":"+port)
		got := "reached"
		var forbidden *Forbidden
		switch {
		case errors.As(err, &forbidden):
			got = "forbidden"
		case err != nil:
			got = "failed"
		}
		if got != want {
			t.Errorf("%s: %s (%v), want %s", host, got, err, want)
		}
	}
}

// Spellings of loopback that resolvers might understand do not get around the
// policy.
func TestSpellingsOfLoopback(t *testing.T) {
	server := serverAt(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	c := newClient(t, Options{})
	for _, host := range []string{"127.0.0.1", "localhost", "2130706433", "0x7f.1", "0x7f000001", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "[::]", "[64:ff9b::7f00:1]"} {
		_, err := get(t, c, "http://"+host+":"+port)
		var forbidden *Forbidden
		if !errors.As(err, &forbidden) {
			t.Errorf("%s: error %v", host, err)
		}
	}
}

func TestRedirects(t *testing.T) {
	var inner *httptest.Server
	secret := serverAt(t, "127.0.0.2:0", func(http.ResponseWriter, *http.Request) { t.Error("the forbidden address was reached") })
	inner = serverAt(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/once":
			http.Redirect(w, r, "/end", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, secret.URL, http.StatusFound)
		case "/end":
			_, _ = w.Write([]byte("end"))
		}
	})
	secure := httptest.NewTLSServer(http.RedirectHandler(inner.URL+"/end", http.StatusFound))
	t.Cleanup(secure.Close)
	policy := Policy{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	trust := &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}

	none := newClient(t, Options{Policy: policy})
	if response, err := get(t, none, inner.URL+"/inside"); err != nil || response.Status != http.StatusFound {
		t.Errorf("a redirect that is not followed: %+v, %v", response, err)
	}
	some := newClient(t, Options{Policy: policy, Redirects: 3, TLS: trust})
	if response, err := get(t, some, inner.URL+"/once"); err != nil || string(response.Body) != "end" || response.URL.Path != "/end" {
		t.Errorf("%+v, %v", response, err)
	}
	for path, want := range map[string]string{
		inner.URL + "/loop": "more than 3 redirects", inner.URL + "/inside": "not a public address", secure.URL: "from https to http",
	} {
		if response, err := get(t, some, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v, want %s", path, response, err, want)
		}
	}
}

func TestBoundedBody(t *testing.T) {
	hold := make(chan struct{})
	server := serverAt(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short":
			_, _ = w.Write(make([]byte, 100))
		case "/long":
			_, _ = w.Write(make([]byte, 1<<20))
		case "/breaks":
			w.Header().Set("Content-Length", "50")
			_, _ = w.Write(make([]byte, 10))
		case "/drips":
			_, _ = w.Write(make([]byte, 10))
			_ = http.NewResponseController(w).Flush()
			<-hold
		}
	})
	t.Cleanup(func() { close(hold) })
	c := newClient(t, Options{Policy: anywhere})
	quick := newClient(t, Options{Policy: anywhere, Timeout: 200 * time.Millisecond})
	for _, test := range []struct {
		client *Client
		path   string
		length int
		whole  bool
	}{{c, "/short", 100, true}, {c, "/long", 100, false}, {c, "/breaks", 10, false}, {quick, "/drips", 10, false}} {
		response, err := get(t, test.client, server.URL+test.path)
		if err != nil || len(response.Body) != test.length || response.Whole != test.whole {
			t.Errorf("%s: %+v, %v", test.path, response, err)
		}
	}
}

// A connection serves one request after the other, and no more of them are open
// than the options say.
func TestConnections(t *testing.T) {
	var opened sync.Map
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("body")) }))
	server.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Store(c, true)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c := newClient(t, Options{Policy: anywhere, Connections: 2})
	var asking sync.WaitGroup
	for range 20 {
		asking.Go(func() {
			if _, err := get(t, c, server.URL); err != nil {
				t.Error(err)
			}
		})
	}
	asking.Wait()
	connections := 0
	opened.Range(func(any, any) bool { connections++; return true })
	if connections > 2 {
		t.Errorf("%d connections, want at most 2", connections)
	}
}

func TestFailures(t *testing.T) {
	hold := make(chan struct{})
	server := serverAt(t, "127.0.0.1:0", func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hang" {
			<-hold
		}
		panic(http.ErrAbortHandler)
	})
	t.Cleanup(func() { close(hold) })
	closed := httptest.NewServer(nil)
	closed.Close()
	other := httptest.NewUnstartedServer(nil)
	other.Config.ErrorLog = nil
	other.StartTLS()
	t.Cleanup(other.Close)
	c := newClient(t, Options{Policy: anywhere, Timeout: 300 * time.Millisecond})
	for url, sent := range map[string]bool{
		closed.URL: false, other.URL: false, server.URL + "/hang?token=hush": true, server.URL + "/abort?token=hush": true,
		"ftp://127.0.0.1/": false, "http://nowhere.invalid/": false,
	} {
		_, err := get(t, c, strings.Replace(url, "://", "://user:hush@", 1))
		var failed *Error
		if !errors.As(err, &failed) || failed.Sent != sent {
			t.Errorf("%s: %#v, want sent %v", url, err, sent)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	if _, err := c.Do(ctx, request, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
