package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// clock is a clock that the test moves.
type clock struct {
	mu   sync.Mutex
	time time.Time
}

func newClock(text string) *clock {
	start, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		panic(err)
	}
	return &clock{time: start}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = c.time.Add(d)
}

// vectorTime is when the vectors are sent.
const vectorTime = "2015-03-24T15:38:12.589Z"

// running is a started instance.
type running struct {
	*pusher
	t      testing.TB
	host   *loggedHost
	clock  *clock
	client *http.Client
}

// loggedHost is a host whose log the test can read.
type loggedHost struct {
	*coretest.Host
	mu  sync.Mutex
	log bytes.Buffer
}

func newLoggedHost(t testing.TB) *loggedHost { return &loggedHost{Host: coretest.NewHost(t)} }

func (h *loggedHost) Write(line []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(line)
}

func (h *loggedHost) Log() *slog.Logger {
	return slog.New(slog.NewTextHandler(h, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (h *loggedHost) logged() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.String()
}

// settingsOf is a configuration with more settings on top of what every endpoint
// needs.
func settingsOf(t testing.TB, more ...string) json.RawMessage {
	t.Helper()
	all := map[string]any{"listen": "127.0.0.1:0", "path": "/push", "realm": "realm1", "role": "role1"}
	for _, object := range more {
		if err := json.Unmarshal([]byte(object), &all); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// start starts an instance with its host; prepare sets the host up. The instance
// is stopped with the test, and must leave no goroutine.
func start(t testing.TB, prepare func(*coretest.Host), more ...string) *running {
	t.Helper()
	before := goleak.IgnoreCurrent()
	// net/http lingers half a second on a connection whose body it refused to read.
	lingering := goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")
	t.Cleanup(func() { goleak.VerifyNone(t, before, lingering) })
	r := &running{t: t, host: newLoggedHost(t), clock: newClock(vectorTime)}
	if prepare != nil {
		prepare(r.host.Host)
	}
	instance, err := Adapter{Now: r.clock.now}.Open(t.Context(), "test.crossbar-pusher", settingsOf(t, more...), r.host)
	if err != nil {
		t.Fatal(err)
	}
	r.pusher = instance.(*pusher)
	t.Cleanup(func() { r.stop() })
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.client = testClient(t)
	return r
}

// stop stops the instance with time enough.
func (r *running) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		r.t.Errorf("stop: %v", err)
	}
}

func testClient(t testing.TB) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// request is one to send; the zero values mean POST, JSON and an empty body.
type request struct {
	method string
	url    string
	header http.Header // Content-Type is JSON unless it is here
	body   []byte
	reader io.Reader // instead of body, without its length
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	close  bool // the connection was closed
}

func send(t testing.TB, client *http.Client, r request) answer {
	t.Helper()
	got, err := trySend(client, r)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func trySend(client *http.Client, r request) (answer, error) {
	method := r.method
	if method == "" {
		method = http.MethodPost
	}
	body := r.reader
	if body == nil {
		body = bytes.NewReader(r.body)
	}
	q, err := http.NewRequest(method, r.url, body)
	if err != nil {
		return answer{}, err
	}
	q.Header.Set("Content-Type", "application/json")
	for name, values := range r.header {
		if values == nil {
			q.Header.Del(name)
		} else {
			q.Header[name] = values
		}
	}
	q.Host = q.Header.Get("Host")
	response, err := client.Do(q)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), response.Close}, err
}

// url is the endpoint with a query string.
func (r *running) url(query string) string {
	return "http://" + r.endpoint.Addr().String() + "/push?" + query
}

// post sends a body that is JSON.
func (r *running) post(query, body string, header ...string) answer {
	r.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Add(header[i], header[i+1])
	}
	return send(r.t, r.client, request{url: r.url(query), body: []byte(body), header: h})
}

// signed signs a body as key foobar with the secret "secret".
func signed(seq int, body string) string {
	query, _ := Sign("secret", Parameters{Key: "foobar", Timestamp: vectorTime, Seq: fmt.Sprint(seq), Nonce: "42"}, []byte(body))
	return query
}

const (
	signing = `{"key":"foobar","secret":"secret"}`
	hello   = `{"topic":"com.myapp.topic1","args":["Hello, world!",23]}`
)

// events are all that were published so far.
func (r *running) events() []core.Event {
	var events []core.Event
	for _, p := range r.host.Published() {
		events = append(events, p.Events...)
	}
	return events
}

// published wants that exactly n events were published, and returns the last.
func (r *running) published(n int) core.Event {
	r.t.Helper()
	events := r.events()
	if len(events) != n {
		r.t.Fatalf("%d events were published, want %d", len(events), n)
	}
	if n == 0 {
		return core.Event{}
	}
	return events[n-1]
}

// is wants a status.
func (a answer) is(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d; body %s", a.status, status, a.body)
	}
	return a
}

// faulted is the body of a refusal.
type faulted struct {
	Error  string
	Args   []any
	Kwargs map[string]any
}

// fault wants a status and the shape of a refusal, and returns it.
func (a answer) fault(t testing.TB, status int) faulted {
	t.Helper()
	a.is(t, status)
	a.common(t)
	var f faulted
	decoder := json.NewDecoder(strings.NewReader(a.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil || f.Error == "" || f.Args == nil || f.Kwargs == nil {
		t.Errorf("body %s is no error: %v", a.body, err)
	}
	return f
}

// id wants a status and an id.
func (a answer) id(t testing.TB, status int) uint64 {
	t.Helper()
	a.is(t, status)
	a.common(t)
	var got struct{ ID uint64 }
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.body != fmt.Sprintf(`{"id":%d}`, got.ID) || got.ID < 1 || got.ID > 1<<53 {
		t.Errorf("body %q is no id: %v", a.body, err)
	}
	return got.ID
}

// common wants the headers that every answer has.
func (a answer) common(t testing.TB) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type":  "application/json; charset=UTF-8",
		"Cache-Control": "no-store,no-cache,must-revalidate,max-age=0",
	} {
		if got := a.header.Get(name); got != want {
			t.Errorf("header %s is %q, want %q", name, got, want)
		}
	}
}

// metric is the value of a counter.
func (r *running) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.host.Gather().Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	metrics:
		for _, metric := range family.GetMetric() {
			have := map[string]string{}
			for _, label := range metric.GetLabel() {
				have[label.GetName()] = label.GetValue()
			}
			for i := 0; i < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue metrics
				}
			}
			return metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return 0
}
