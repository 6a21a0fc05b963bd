package httpin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core/coretest"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// testHost is a host whose log the test can read.
type testHost struct {
	*coretest.Host
	mu  sync.Mutex
	log bytes.Buffer
}

func newTestHost(t testing.TB) *testHost { return &testHost{Host: coretest.NewHost(t)} }

func (h *testHost) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(line)
}

func (h *testHost) Log() *slog.Logger { return slog.New(slog.NewTextHandler(h, nil)) }

func (h *testHost) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// configOf is a configuration with defaults.
func configOf(t testing.TB, text string) Config {
	t.Helper()
	config, err := settings.Decode[Config](json.RawMessage(text))
	if err != nil {
		t.Fatal(err)
	}
	return config
}

const anyPort = `{"listen":"127.0.0.1:0"}`

// noLeaks wants no goroutine more at the end of the test than now.
func noLeaks(t testing.TB) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}

// newEndpoint makes an endpoint that is stopped with the test.
func newEndpoint(t testing.TB, host *testHost, config Config, path string, handler http.HandlerFunc) *Endpoint {
	t.Helper()
	e, err := NewEndpoint(host, config, map[string]http.Handler{path: handler})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return e
}

func startEndpoint(t testing.TB, host *testHost, config Config, path string, handler http.HandlerFunc) *Endpoint {
	t.Helper()
	e := newEndpoint(t, host, config, path, handler)
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

// saying answers with a text.
func saying(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func newClient(t testing.TB) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get returns the status and the body; status 0 is no answer at all.
func get(client *http.Client, url string) (status int, body string) {
	response, err := client.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

func want(t testing.TB, client *http.Client, url string, status int, body string) {
	t.Helper()
	gotStatus, gotBody := get(client, url)
	if gotStatus != status || status == 200 && gotBody != body {
		t.Errorf("%s: %d %s, want %d %s", url, gotStatus, gotBody, status, body)
	}
}

func TestEndpointLife(t *testing.T) {
	noLeaks(t)
	host := newTestHost(t)
	e := newEndpoint(t, host, configOf(t, anyPort), "/a", saying("a"))
	if e.Addr() != nil {
		t.Error("it listens before Start")
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	base := "http://" + e.Addr().String()
	client := newClient(t)
	want(t, client, base+"/a", 200, "a")
	want(t, client, base+"/b", 404, "")
	for range 2 {
		if err := e.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	want(t, client, base+"/a", 0, "")
	if log := host.logged(); log != "" {
		t.Errorf("a plain life is worth no log line: %s", log)
	}
}

func TestEndpointStopWithoutStart(t *testing.T) {
	noLeaks(t)
	e := newEndpoint(t, newTestHost(t), configOf(t, anyPort), "/a", saying("a"))
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEndpointAddressTaken(t *testing.T) {
	noLeaks(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	e := newEndpoint(t, newTestHost(t), configOf(t, `{"listen":"`+taken.Addr().String()+`"}`), "/a", saying("a"))
	if err := e.Start(t.Context()); err == nil {
		t.Error("Start succeeded on an address that is taken")
	}
}

func TestEndpointOnUnixSocket(t *testing.T) {
	noLeaks(t)
	dir, err := os.MkdirTemp("", "httpin") // t.TempDir's names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	startEndpoint(t, newTestHost(t), configOf(t, `{"listen":"unix:`+path+`"}`), "/a", saying("a"))
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	want(t, &http.Client{Transport: transport}, "http://any/a", 200, "a")
}

// TestEndpointsShare has two instances on one address.
func TestEndpointsShare(t *testing.T) {
	noLeaks(t)
	host, client := newTestHost(t), newClient(t)
	a := startEndpoint(t, host, configOf(t, anyPort), "/a", saying("a"))
	b := startEndpoint(t, host, configOf(t, anyPort), "/b", saying("b"))
	base := "http://" + a.Addr().String()
	if a.Addr().String() != b.Addr().String() {
		t.Errorf("%s and %s", a.Addr(), b.Addr())
	}
	want(t, client, base+"/a", 200, "a")
	want(t, client, base+"/b", 200, "b")

	again := newEndpoint(t, host, configOf(t, anyPort), "/b", saying("again"))
	if err := again.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "/b") {
		t.Errorf("a path that is taken: %v", err)
	}
	want(t, client, base+"/b", 200, "b")

	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	want(t, client, base+"/a", 404, "")
	want(t, client, base+"/b", 200, "b")
	if err := b.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := again.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	want(t, client, base+"/b", 0, "")
}

// TestEndpointsDisagree wants an error, and the address free once the one that
// got it is stopped.
func TestEndpointsDisagree(t *testing.T) {
	noLeaks(t)
	host, client := newTestHost(t), newClient(t)
	a := startEndpoint(t, host, configOf(t, anyPort), "/a", saying("a"))
	base := "http://" + a.Addr().String()
	for _, other := range []string{
		`{"listen":"127.0.0.1:0","limits":{"max_header":1000}}`,
		`{"listen":"127.0.0.1:0","tls":{"cert":"c","key":"k"}}`,
	} {
		if _, err := NewEndpoint(host, configOf(t, other), nil); err == nil {
			t.Errorf("%s was accepted", other)
		}
	}
	if err := a.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	want(t, client, base+"/a", 0, "")
	fresh := newEndpoint(t, host, configOf(t, `{"listen":"127.0.0.1:0","limits":{"max_header":1000}}`), "/a", saying("a"))
	if err := fresh.Start(t.Context()); err != nil {
		t.Error(err)
	}
}

// waiting is a handler that says when it is entered and goes on when told.
type waiting struct{ entered, proceed chan struct{} }

func newWaiting() waiting { return waiting{make(chan struct{}, 1), make(chan struct{})} }

func (h waiting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.entered <- struct{}{}
	select {
	case <-h.proceed:
		_, _ = io.WriteString(w, "done")
	case <-r.Context().Done():
	}
}

// TestStopDrains lets a request finish while the endpoint takes no more.
func TestStopDrains(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			noLeaks(t)
			host, client := newTestHost(t), newClient(t)
			handler := newWaiting()
			e := startEndpoint(t, host, configOf(t, anyPort), "/a", handler.ServeHTTP)
			if shared {
				startEndpoint(t, host, configOf(t, anyPort), "/b", saying("b"))
			}
			base := "http://" + e.Addr().String()
			answered := make(chan string)
			go func() {
				_, body := get(client, base+"/a")
				answered <- body
			}()
			<-handler.entered
			stopped := make(chan error)
			go func() { stopped <- e.Stop(context.Background()) }()
			waitRefusing(e)
			if shared {
				want(t, newClient(t), base+"/a", 503, "")
				want(t, newClient(t), base+"/b", 200, "b")
			}
			close(handler.proceed)
			if body := <-answered; body != "done" {
				t.Errorf("the request under way got %s", body)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStopLosesNoAnswer stops at the moment when a handler returns, whose answer is
// still to be sent; again and again, because that moment is short.
func TestStopLosesNoAnswer(t *testing.T) {
	noLeaks(t)
	host := newTestHost(t)
	for range 300 {
		handler := newWaiting()
		e := startEndpoint(t, host, configOf(t, anyPort), "/a", handler.ServeHTTP)
		client := newClient(t)
		url := "http://" + e.Addr().String() + "/a"
		answered := make(chan struct{})
		go func() {
			defer close(answered)
			want(t, client, url, 200, "done")
		}()
		<-handler.entered
		stopped := make(chan error)
		go func() { stopped <- e.Stop(context.Background()) }()
		waitRefusing(e)
		close(handler.proceed)
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		<-answered
	}
}

// waitRefusing returns once Stop has begun.
func waitRefusing(e *Endpoint) {
	for stopping := false; !stopping; runtime.Gosched() {
		e.mu.Lock()
		stopping = e.stopping
		e.mu.Unlock()
	}
}

// TestStopInterrupts ends requests whose time is over, also where the server
// goes on for another endpoint: one that reads its body, one that writes to a
// client that does not read, and one that waits.
func TestStopInterrupts(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("shared %v", shared), func(t *testing.T) {
			noLeaks(t)
			host := newTestHost(t)
			ended := make(chan string, 3)
			handler := newWaiting()
			e, err := NewEndpoint(host, configOf(t, anyPort), map[string]http.Handler{
				"/read": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_, err := io.ReadAll(r.Body)
					ended <- fmt.Sprintf("read %v", err != nil)
				}),
				"/write": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					var err error
					for err == nil {
						_, err = w.Write(make([]byte, 1<<20))
					}
					ended <- "write true"
				}),
				"/wait": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					handler.ServeHTTP(w, r)
					ended <- fmt.Sprintf("wait %v", r.Context().Err() != nil)
				}),
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			if shared {
				other := startEndpoint(t, host, configOf(t, anyPort), "/b", saying("b"))
				defer func() { want(t, newClient(t), "http://"+other.Addr().String()+"/b", 200, "b") }()
			}
			reading, err := net.Dial("tcp", e.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer reading.Close()
			fmt.Fprintf(reading, "POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			if _, err := bufio.NewReader(reading).ReadString('\n'); err != nil {
				t.Fatal(err) // "100 Continue" comes when the handler reads
			}
			for _, path := range []string{"/write", "/wait"} {
				conn, err := net.Dial("tcp", e.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
				if path == "/write" {
					if _, err := io.ReadFull(conn, make([]byte, 9)); err != nil {
						t.Fatal(err) // the handler is writing
					}
				}
			}
			<-handler.entered

			over, cancel := context.WithCancel(context.Background())
			cancel()
			if err := e.Stop(over); err != nil {
				t.Error(err)
			}
			for range 3 {
				if how := <-ended; !strings.HasSuffix(how, "true") {
					t.Errorf("a handler ended well: %s", how)
				}
			}
		})
	}
}

// TestStartWhileAnotherDrains has a new instance come on the address while the
// old one waits for its last request.
func TestStartWhileAnotherDrains(t *testing.T) {
	noLeaks(t)
	host := newTestHost(t)
	handler := newWaiting()
	old := startEndpoint(t, host, configOf(t, anyPort), "/a", handler.ServeHTTP)
	base := "http://" + old.Addr().String()
	client := newClient(t)
	answered := make(chan string)
	go func() {
		_, body := get(client, base+"/a")
		answered <- body
	}()
	<-handler.entered
	stopped := make(chan error)
	go func() { stopped <- old.Stop(context.Background()) }()
	for old.Addr() != nil { // until the listener is closed
		runtime.Gosched()
	}
	next := startEndpoint(t, host, configOf(t, anyPort), "/b", saying("b"))
	response, err := newClient(t).Get("http://" + next.Addr().String() + "/b")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 || response.Close {
		t.Errorf("status %d, connection closed %v", response.StatusCode, response.Close)
	}
	close(handler.proceed)
	if body := <-answered; body != "done" {
		t.Errorf("the request under way got %s", body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	want(t, newClient(t), "http://"+next.Addr().String()+"/b", 200, "b")
}

func TestLimits(t *testing.T) {
	noLeaks(t)
	host := newTestHost(t)
	e := startEndpoint(t, host, configOf(t, `{"listen":"127.0.0.1:0","limits":{"max_header":"1KiB","header_timeout":"50ms","body_timeout":"50ms","idle_timeout":"50ms","max_connections":1}}`), "/a",
		func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.ReadAll(r.Body); err != nil {
				w.WriteHeader(http.StatusRequestTimeout)
			}
		})
	// With one connection at a time, each exchange also waits for the end of the
	// one before.
	exchange := func(text string) string {
		conn, err := net.Dial("tcp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, text)
		answer, _ := io.ReadAll(conn)
		return string(answer)
	}
	if got := exchange("GET /a HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 10_000) + "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("a long header: %s", got)
	}
	if got := exchange("GET /a HTTP/1.1\r\nHost:"); strings.Contains(got, "200") {
		t.Errorf("a slow header: %s", got)
	}
	if got := exchange("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab"); !strings.HasPrefix(got, "HTTP/1.1 408") {
		t.Errorf("a slow body: %s", got)
	}
	if got := exchange("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("an idle connection: %s", got)
	}
	if log := host.logged(); strings.Contains(log, "level=ERROR") {
		t.Errorf("strangers cause errors in the log: %s", log)
	}
}

// TestMaxConnections sends many requests at once through one connection at a
// time.
func TestMaxConnections(t *testing.T) {
	noLeaks(t)
	var inside atomic.Int32
	e := startEndpoint(t, newTestHost(t), configOf(t, `{"listen":"127.0.0.1:0","limits":{"max_connections":1}}`), "/a",
		func(http.ResponseWriter, *http.Request) {
			if inside.Add(1) > 1 {
				t.Error("two connections at a time")
			}
			for range 1000 {
				runtime.Gosched() // lets others in, if they may
			}
			inside.Add(-1)
		})
	var done sync.WaitGroup
	for range 50 {
		done.Go(func() {
			conn, err := net.Dial("tcp", e.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
				t.Errorf("%s, %v", answer, err)
			}
		})
	}
	done.Wait()
}

func TestHandlerPanicIsLogged(t *testing.T) {
	noLeaks(t)
	host := newTestHost(t)
	e := startEndpoint(t, host, configOf(t, anyPort), "/a", func(http.ResponseWriter, *http.Request) { panic("a defect") })
	want(t, newClient(t), "http://"+e.Addr().String()+"/a", 0, "")
	if err := e.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if log := host.logged(); !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "a defect") {
		t.Errorf("log: %s", log)
	}
}

func TestConfigCheck(t *testing.T) {
	for text, path := range map[string]string{
		`{"listen":"127.0.0.1:8080"}`: "", `{"listen":":0"}`: "", `{"listen":"[::1]:65535"}`: "", `{"listen":"localhost:1"}`: "", `{"listen":"unix:/run/x"}`: "",
		`{"listen":"127.0.0.1"}`: "/listen", `{"listen":"127.0.0.1:http"}`: "/listen", `{"listen":":65536"}`: "/listen", `{"listen":":-1"}`: "/listen", `{"listen":""}`: "/listen",
		`{"listen":"unix:x"}`: "/listen", `{"listen":"unix:/` + strings.Repeat("x", 107) + `"}`: "/listen", `{"listen":"::1:80"}`: "/listen",
		`{"listen":":1","trusted_proxies":["unix","10.0.0.0/8","::1"]}`: "", `{"listen":":1","trusted_proxies":["10.0.0.0/8","proxy"]}`: "/trusted_proxies/1",
	} {
		config := configOf(t, text)
		var report settings.Report
		config.Check(&report)
		got := ""
		for _, f := range report.Findings {
			got += f.Path
		}
		if got != path {
			t.Errorf("%s: findings %v", text, report.Findings)
		}
	}
	config := configOf(t, `{"listen":":1","tls":{"cert":"c","key":"k"}}`)
	if a := config.Address("/a", "/b"); a.Listen != ":1" || !a.TLS || len(a.Paths) != 2 {
		t.Errorf("%+v", a)
	}
	if l := config.Limits; l.MaxBody != 1<<20 || l.MaxHeader != 64<<10 || l.HeaderTimeout.Std() != 10*time.Second ||
		l.BodyTimeout.Std() != 30*time.Second || l.IdleTimeout.Std() != 2*time.Minute || l.MaxConnections != 20_000 {
		t.Errorf("%+v", l)
	}
}
