package webhook

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// receiver is a server that keeps what it got and answers as the test says.
type receiver struct {
	*httptest.Server
	arrived chan hook

	mu     sync.Mutex
	answer http.HandlerFunc // nil: 200
}

// hook is a request that arrived.
type hook struct {
	path   string
	header http.Header
	body   []byte
}

// events are the elements of a body.
func (h hook) events(t testing.TB) []map[string]any {
	t.Helper()
	var body struct {
		TimeMS *int64           `json:"time_ms"`
		Events []map[string]any `json:"events"`
	}
	if err := json.Unmarshal(h.body, &body); err != nil || body.TimeMS == nil {
		t.Fatalf("body %s: %v", h.body, err)
	}
	return body.Events
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{arrived: make(chan hook, 100_000)} // more than a test sends
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.arrived <- hook{q.URL.RequestURI(), q.Header, body}
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		answer(w, q)
	}
}

// answers changes the answer.
func (r *receiver) answers(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// next returns the next request.
func (r *receiver) next(t testing.TB) hook {
	t.Helper()
	select {
	case h := <-r.arrived:
		return h
	case <-time.After(20 * time.Second):
		t.Fatal("no request came")
		return hook{}
	}
}

// none wants that no request has come.
func (r *receiver) none(t testing.TB) {
	t.Helper()
	select {
	case h := <-r.arrived:
		t.Fatalf("request %s came", h.body)
	default:
	}
}

// running is an opened and started instance.
type running struct {
	*instance
	t    testing.TB
	host *coretest.Host
}

const eventTime = 1700000000123

// start opens an instance with more members of its configuration, whose clock
// stands at eventTime.
func start(t testing.TB, url string, more ...string) *running {
	t.Helper()
	return startAt(t, func() time.Time { return time.UnixMilli(eventTime) }, url, more...)
}

func startAt(t testing.TB, now func() time.Time, url string, more ...string) *running {
	t.Helper()
	leakFree(t)
	host := coretest.NewHost(t)
	opened, err := Adapter{Now: now}.Open(t.Context(), "test.webhook", settingsOf(t, url, more...), host)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{opened.(*instance), t, host}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := r.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

// settingsOf is a configuration that works, with more members; null takes one out.
func settingsOf(t testing.TB, url string, more ...string) json.RawMessage {
	t.Helper()
	all := map[string]any{"url": url, "format": "pusher", "key": "key", "secret": "secret"}
	for _, object := range more {
		if err := json.Unmarshal([]byte(object), &all); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
	}
	for name, value := range all {
		if value == nil {
			delete(all, name)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// answered is one answer to an event of a batch.
type answered struct {
	index   int
	receipt core.Receipt
}

// deliver hands over a batch and returns where its answers come.
func (r *running) deliver(events ...core.Event) <-chan answered {
	r.t.Helper()
	answers := make(chan answered, 2*len(events)+1)
	batch := core.NewBatch(events, func(first, count int, receipt core.Receipt) {
		for n := first; n < first+count; n++ {
			answers <- answered{n, receipt}
		}
	})
	if err := r.Deliver(context.Background(), batch); err != nil {
		for n := range events {
			answers <- answered{n, core.Receipt{Err: core.AsRefusal(err)}}
		}
	}
	return answers
}

// one delivers one event and returns its receipt.
func (r *running) one(event core.Event) core.Receipt {
	r.t.Helper()
	return wait(r.t, r.deliver(event)).receipt
}

func wait(t testing.TB, answers <-chan answered) answered {
	t.Helper()
	select {
	case a := <-answers:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no answer came")
		return answered{}
	}
}

// occupied is a happening.
func occupied(channel string) core.Event {
	return core.Event{
		Kind: core.KindHappening, Name: channelOccupied, Topic: channel, Time: time.UnixMilli(eventTime),
		Type: core.TypeJSON, Data: []byte(`{}`),
	}
}

// metric is the value of a counter with these labels.
func (r *running) metric(name string, labels map[string]string) float64 {
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
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if want, ok := labels[label.GetName()]; ok && want != label.GetValue() {
					continue metrics
				}
			}
			return m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return 0
}
