package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// plainHost publishes to nowhere and keeps nothing.
type plainHost struct {
	*coretest.Host
	metrics *prometheus.Registry
}

func (plainHost) Publish(_ context.Context, p core.Publication) ([]core.Receipt, error) {
	receipts := make([]core.Receipt, len(p.Events))
	for i := range receipts {
		receipts[i] = core.Receipt{Event: i, EventID: "019a4c2e-0000-7000-8000-000000000000"}
	}
	return receipts, nil
}

func (plainHost) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (h plainHost) Metrics() prometheus.Registerer { return h.metrics }

// fixed is when the fuzz tests and benchmarks take place.
func fixed() time.Time { return time.Unix(1700000000, 0) }

// open opens an instance that does not listen.
func open(t testing.TB, app string, more ...string) *api {
	t.Helper()
	instance, err := Adapter{Now: fixed}.Open(t.Context(), "n", settingsOf(t, app, more...), plainHost{coretest.NewHost(t), prometheus.NewRegistry()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, instance.(*api)) })
	return instance.(*api)
}

// FuzzRequest sends anything, as it is and signed. Nothing may be answered with
// what says that the bridge failed, and every answer has the form of one.
func FuzzRequest(f *testing.F) {
	for _, v := range readVectors(f) {
		if len(v.Body) < 1000 {
			f.Add(v.Method, v.Target, []byte(v.Body))
		}
	}
	f.Add("POST", "/apps/3/events", []byte(`{"name":"e","channels":["a","#server-to-user-u"],"data":{"a":[1]},"info":"user_count","idempotency_key":"k"}`))
	f.Add("POST", "/apps/3/batch_events", []byte(`{"batch":[{"name":"e","channel":"a","data":"\ud83d","idempotency_key":"k"}]}`))
	f.Add("GET", "/apps/3/channels/cache-a?info=cache", []byte(nil))
	f.Add("POST", "/apps/3/channels/a%20b/events?name=e", []byte("x"))
	a := open(f, "", `{"limits":{"max_body":10000}}`)
	strict := open(f, `{"strict_query":true,"refuse_repeats":true}`)
	f.Fuzz(func(t *testing.T, method, target string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		q := request{method: method, path: u.Path, query: u.RawQuery, body: string(body)}
		_, signed, _ := strings.Cut(q.sign(fixed()), "?")
		for _, instance := range []*api{a, strict} {
			for _, query := range []string{u.RawQuery, signed} {
				own := *u
				own.RawQuery = query
				w := httptest.NewRecorder()
				instance.ServeHTTP(w, &http.Request{Method: method, URL: &own, Header: http.Header{}, RemoteAddr: "127.0.0.1:5", Body: io.NopCloser(bytes.NewReader(body)), ContentLength: -1})
				switch {
				case w.Code >= 500:
					t.Errorf("status %d: %s", w.Code, w.Body)
				case w.Code == 200 && !json.Valid(w.Body.Bytes()):
					t.Errorf("%s is no JSON", w.Body)
				case w.Code >= 400 && !strings.HasSuffix(w.Body.String(), "\n"):
					t.Errorf("status %d: %q", w.Code, w.Body)
				}
			}
		}
	})
}

// FuzzJSON holds what walks JSON against what builds it.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{
		`{}`, `{"a":1}`, ` { "a" : [ 1 , "x" , { } ] , "b\u0041" : "\ud83d\ude00\ud83d \n\"" } `, `{"a":{"b":"}]"},"c":[[],[]],"a":2}`, `{"a":-1.5e3,"b":true,"c":null}`, `[1]`, `{"a":"\ud83d\u0041"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var want map[string]json.RawMessage
		err := json.Unmarshal(text, &want)
		if valid := validObject(text); valid != (err == nil && want != nil && utf8.Valid(text)) {
			t.Fatalf("%q is valid: %v (%v)", text, valid, err)
		} else if !valid {
			return
		}
		got := make(map[string]json.RawMessage)
		eachMember(text, func(name, value []byte) { got[string(name)] = value })
		if len(got) != len(want) {
			t.Errorf("%q: %d members, want %d", text, len(got), len(want))
		}
		for name, value := range want {
			if !bytes.Equal(bytes.TrimSpace(got[name]), bytes.TrimSpace(value)) {
				t.Errorf("%q: member %q is %q, want %q", text, name, got[name], value)
			}
			var s string
			if value[0] == '"' {
				if err := json.Unmarshal(value, &s); err != nil || string(unquote(got[name])) != s {
					t.Errorf("%q: %q, want %q", value, unquote(got[name]), s)
				}
			}
			var list []json.RawMessage
			if value[0] == '[' {
				if err := json.Unmarshal(value, &list); err != nil || countElements(got[name]) != len(list) {
					t.Errorf("%q has %d elements, want %d", value, countElements(got[name]), len(list))
				}
			}
		}
	})
}
