package crossbar

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header        { return d.header }
func (*discard) Write(p []byte) (int, error)  { return len(p), nil }
func (*discard) WriteHeader(int)              {}
func (d *discard) reset()                     { clear(d.header) }
func newDiscard() *discard                    { return &discard{header: make(http.Header)} }
func bodyOf(text *bytes.Reader) io.ReadCloser { return io.NopCloser(text) }

// BenchmarkHandler measures a request from the parsed header to the answer.
func BenchmarkHandler(b *testing.B) {
	for name, config := range map[string]string{"unsigned": `{}`, "signed": signing} {
		for _, size := range []int{64, 1024} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				p := open(b, config, `{"replay_max":1000000000}`)
				body := []byte(`{"topic":"com.myapp.topic1","args":["` + string(bytes.Repeat([]byte("x"), size)) + `"],"kwargs":{"a":1}}`)
				queries := make([]string, b.N)
				if name == "signed" {
					for i := range queries {
						queries[i] = signed(i, string(body))
					}
				}
				header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"bench"}}
				w := newDiscard()
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					w.reset()
					p.ServeHTTP(w, &http.Request{
						Method: "POST", URL: &url.URL{Path: "/push", RawQuery: queries[i]}, RemoteAddr: "127.0.0.1:5", Header: header,
						Body: bodyOf(bytes.NewReader(body)), ContentLength: int64(len(body)),
					})
				}
			})
		}
	}
}

// BenchmarkHTTP compares the endpoint with a bare handler that reads the body, in
// requests over loopback.
func BenchmarkHTTP(b *testing.B) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); err != nil {
			b.Error(err)
		}
		_, _ = w.Write([]byte(`{"id":5054909546939320}`))
	})
	for _, test := range []struct {
		name    string
		handler http.Handler
	}{{"bare", bare}, {"unsigned", open(b)}} {
		b.Run(test.name, func(b *testing.B) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			client := testClient(b)
			b.SetParallelism(8)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := trySend(client, request{url: server.URL, body: []byte(hello)}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
