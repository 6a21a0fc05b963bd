package rest

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// clock is a clock that the test moves.
type clock struct {
	mu   sync.Mutex
	time time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.time
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.time = t
}

func (c *clock) advance(d time.Duration) { c.set(c.now().Add(d)) }

// The app that most tests use.
const (
	testApp    = "3"
	testKey    = "278d425bdf160c739803"
	testSecret = "7ad3773142a6692b25b8"
)

// loggedHost is a host whose log the test can read.
type loggedHost struct {
	*coretest.Host
	metrics *prometheus.Registry // of the generation that was opened last

	mu  sync.Mutex
	log bytes.Buffer
}

func (h *loggedHost) Metrics() prometheus.Registerer { return h.metrics }

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

// running is a started instance.
type running struct {
	*api
	t      testing.TB
	host   *loggedHost
	clock  *clock
	client *http.Client
	scheme string
}

// settingsOf is a configuration. Settings of app are for the app of the tests;
// more is for the instance.
func settingsOf(t testing.TB, app string, more ...string) json.RawMessage {
	t.Helper()
	one := map[string]any{"id": testApp, "key": testKey, "secret": testSecret}
	merge := func(into map[string]any, text string) {
		if err := json.Unmarshal([]byte(text), &into); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if app != "" {
		merge(one, app)
	}
	other := map[string]any{"id": 4, "key": "other-key", "secret": testSecret}
	all := map[string]any{"listen": "127.0.0.1:0", "apps": []any{one, other}}
	for _, text := range more {
		merge(all, text)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// start starts an instance; prepare sets its host up. It is stopped with the test
// and must leave no goroutine.
func start(t testing.TB, prepare func(*coretest.Host), config json.RawMessage) *running {
	t.Helper()
	before := goleak.IgnoreCurrent()
	// net/http lingers half a second on a connection whose body it refused to read.
	lingering := goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait")
	t.Cleanup(func() { goleak.VerifyNone(t, before, lingering) })
	r := &running{t: t, host: &loggedHost{Host: coretest.NewHost(t)}, clock: &clock{time: time.Unix(1700000000, 0)}, scheme: "http"}
	if prepare != nil {
		prepare(r.host.Host)
	}
	r.open(config)
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(transport.CloseIdleConnections)
	r.client = &http.Client{Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return r
}

// open starts a generation of the instance on the same host, in place of the one
// before.
func (r *running) open(config json.RawMessage) {
	r.t.Helper()
	if r.api != nil {
		stop(r.t, r.api)
	}
	r.host.metrics = prometheus.NewRegistry()
	instance, err := Adapter{Now: r.clock.now}.Open(r.t.Context(), "test.pusher-rest", config, r.host)
	if err != nil {
		r.t.Fatal(err)
	}
	r.api = instance.(*api)
	own := r.api
	r.t.Cleanup(func() { stop(r.t, own) })
	if err := r.Start(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

func stop(t testing.TB, a *api) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := a.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// request is one to send, signed with the app's key unless target says how.
type request struct {
	method string
	path   string // decoded
	query  string // besides what authenticates
	body   string
	header http.Header

	key, secret string
	target      string        // the whole target, as it is
	version     string        // instead of 1.0
	reader      io.Reader     // instead of body, which is signed
	ago         time.Duration // how old the timestamp is
}

// sign returns the target of a request.
func (q request) sign(now time.Time) string {
	if q.target != "" {
		return q.target
	}
	key, secret, version := or(q.key, testKey), or(q.secret, testSecret), or(q.version, "1.0")
	raw := fmt.Sprintf("auth_key=%s&auth_timestamp=%d&auth_version=%s", key, now.Add(-q.ago).Unix(), version)
	if q.body != "" {
		sum := md5.Sum([]byte(q.body))
		raw += "&body_md5=" + hex.EncodeToString(sum[:])
	}
	if q.query != "" {
		raw += "&" + q.query
	}
	text := signature.ParseQuery(raw).AppendStringToSign(nil, q.method, q.path)
	return (&url.URL{Path: q.path}).EscapedPath() + "?" + raw + "&auth_signature=" + signature.NewSecret(secret).Sign(text)
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// answer is what came back.
type answer struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// send sends a request, signed at the time of the test's clock.
func (r *running) send(q request) answer {
	r.t.Helper()
	a, err := r.try(q)
	if err != nil {
		r.t.Fatal(err)
	}
	return a
}

func (r *running) try(q request) (answer, error) {
	var body io.Reader = strings.NewReader(q.body)
	if q.reader != nil {
		body = q.reader
	}
	h, err := http.NewRequest(q.method, r.scheme+"://"+r.endpoint.Addr().String(), body)
	if err != nil {
		return answer{}, err
	}
	if h.URL, err = h.URL.Parse(r.scheme + "://" + r.endpoint.Addr().String() + q.sign(r.clock.now())); err != nil {
		return answer{}, err
	}
	h.Header.Set("Content-Type", "application/json")
	for name, values := range q.header {
		h.Header[name] = values
	}
	response, err := r.client.Do(h)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{r.t, response.StatusCode, response.Header, string(text)}, err
}

func (r *running) post(path, body string) answer {
	r.t.Helper()
	return r.send(request{method: "POST", path: path, body: body})
}

// event posts an event of the app of the tests.
func (r *running) event(body string) answer {
	r.t.Helper()
	return r.post("/apps/3/events", body)
}

func (r *running) get(path, query string) answer {
	r.t.Helper()
	return r.send(request{method: "GET", path: path, query: query})
}

// is wants a status and, of a success, JSON.
func (a answer) is(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("status %d, want %d; body %s", a.status, status, clip(a.body))
	}
	if a.status == 200 && (a.header.Get("Content-Type") != "application/json" || !json.Valid([]byte(a.body))) {
		a.t.Errorf("%s is no JSON", a.body)
	}
	if a.status >= 400 && (a.body == "" || !strings.HasSuffix(a.body, "\n") && a.header.Get("Content-Type") != "application/json") {
		a.t.Errorf("%q is no line", a.body)
	}
	return a
}

// says wants a body.
func (a answer) says(want string) answer {
	a.t.Helper()
	if a.body != want {
		a.t.Errorf("body %s, want %s", clip(a.body), want)
	}
	return a
}

// contains wants a text in the body, letter case ignored.
func (a answer) contains(part string) answer {
	a.t.Helper()
	if !strings.Contains(strings.ToLower(a.body), strings.ToLower(part)) {
		a.t.Errorf("body %s lacks %q", clip(a.body), part)
	}
	return a
}

// ids are the event ids of an answer.
func (a answer) ids() map[string]string {
	a.t.Helper()
	var got struct {
		IDs map[string]string `json:"event_ids"`
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		a.t.Errorf("%s: %v", a.body, err)
	}
	return got.IDs
}

// events are all that were published so far.
func (r *running) events() []core.Event {
	var events []core.Event
	for _, p := range r.host.Published() {
		events = append(events, p.Events...)
	}
	return events
}

// published wants that n events were published, and returns the last.
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

// metric is the value of a counter.
func (r *running) metric(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.host.metrics.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
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
			sum += metric.GetCounter().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return sum
}
