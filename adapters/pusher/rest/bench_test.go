package rest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header       { return d.header }
func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) WriteHeader(int)             {}

// BenchmarkHTTP compares the instance with a bare handler that reads the body, in
// requests over loopback.
func BenchmarkHTTP(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			b.Error(err)
		}
		_, _ = w.Write([]byte(`{"event_ids":{"a":"019a4c2e-0000-7000-8000-000000000000"}}`))
	})
	target := request{method: "POST", path: "/apps/3/events", body: hello}.sign(fixed())
	for _, test := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"pusher-rest", open(b, "")}} {
		b.Run(test.name, func(b *testing.B) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
			defer client.CloseIdleConnections()
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					response, err := client.Post(server.URL+target, "application/json", strings.NewReader(hello))
					if err != nil {
						b.Error(err)
						return
					}
					if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
						b.Errorf("status %d, %v", response.StatusCode, err)
					}
					response.Body.Close()
				}
			})
		})
	}
}

// BenchmarkHandler measures a request from the parsed header to the answer.
func BenchmarkHandler(b *testing.B) {
	for _, size := range []int{64, 1024, 10240} {
		for _, escaped := range []bool{false, true} {
			b.Run(fmt.Sprintf("%d/escaped=%v", size, escaped), func(b *testing.B) {
				a := open(b, "")
				data := strings.Repeat("x", size)
				if escaped {
					data = strings.Repeat(`{\"k\":\"vvvv\"}`, size/12)
				}
				body := `{"name":"foo","channels":["project-3"],"data":"` + data + `"}`
				target := request{method: "POST", path: "/apps/3/events", body: body}.sign(fixed())
				u, err := url.ParseRequestURI(target)
				if err != nil {
					b.Fatal(err)
				}
				header := http.Header{"Content-Type": {"application/json"}}
				w := &discard{header: make(http.Header)}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					a.ServeHTTP(w, &http.Request{Method: "POST", URL: u, RemoteAddr: "127.0.0.1:5", Header: header,
						Body: io.NopCloser(bytes.NewReader([]byte(body))), ContentLength: int64(len(body))})
				}
			})
		}
	}
}
