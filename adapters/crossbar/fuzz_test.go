package crossbar

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// plainHost publishes to nowhere and keeps nothing.
type plainHost struct {
	*coretest.Host
	metrics *prometheus.Registry
}

func newPlainHost(t testing.TB) plainHost {
	return plainHost{coretest.NewHost(t), prometheus.NewRegistry()}
}

func (plainHost) Publish(context.Context, core.Publication) ([]core.Receipt, error) {
	return []core.Receipt{{ID: "5054909546939320"}}, nil
}

func (plainHost) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (h plainHost) Metrics() prometheus.Registerer { return h.metrics }

// open opens an instance that does not listen.
func open(t testing.TB, more ...string) *pusher {
	t.Helper()
	instance, err := Adapter{Now: newClock(vectorTime).now}.Open(t.Context(), "n", settingsOf(t, more...), newPlainHost(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := instance.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return instance.(*pusher)
}

// FuzzRequest sends anything to three endpoints. None may answer with what says
// that the bridge failed.
func FuzzRequest(f *testing.F) {
	for _, v := range readVectors(f) {
		contentType := ""
		if v.Request.ContentType != nil {
			contentType = *v.Request.ContentType
		}
		f.Add(v.Request.Method, v.Request.RawQuery, contentType, "", "", v.Request.Body, false)
	}
	f.Add("OPTIONS", "", "application/json", "https://a.example", "10.0.0.1, [::1]:5", []byte(hello), true)
	endpoints := []*pusher{
		open(f),
		open(f, signing, `{"debug":true,"strict_seq":true,"rate_limit":1e9,"error_status":"semantic"}`),
		open(f, `{"lenient_content_type":true,"trust_forward_for":true,"empty_eligible":"everyone","cors_origins":["*"],"trusted_proxies":["0.0.0.0/0","unix"]}`),
	}
	f.Fuzz(func(t *testing.T, method, query, contentType, origin, forwarded string, body []byte, chunked bool) {
		for _, p := range endpoints {
			for _, own := range []bool{false, true} {
				text := query
				if own {
					text = signed(1, string(body)) + "&" + query
				}
				r := &http.Request{
					Method: method, URL: &url.URL{Path: "/push", RawQuery: text}, Host: "push.example", RemoteAddr: "127.0.0.1:5",
					Header: http.Header{"Content-Type": {contentType}, "X-Forwarded-For": {forwarded}, "Forwarded": {forwarded}},
					Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
				}
				if origin != "" {
					r.Header.Set("Origin", origin)
				}
				if chunked {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				p.ServeHTTP(w, r)
				if w.Code >= 500 && w.Code != 503 && w.Code != 504 {
					t.Errorf("status %d: %s", w.Code, w.Body)
				}
				got := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
				switch {
				case method == "OPTIONS":
				case w.Code == 202:
					got.id(t, 202)
				default:
					got.fault(t, w.Code)
				}
			}
		}
	})
}
