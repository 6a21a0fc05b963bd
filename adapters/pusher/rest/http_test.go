package rest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// TestKeepAlive uses one connection for requests that succeed and that fail.
func TestKeepAlive(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	for i, q := range []request{
		{method: "POST", path: "/apps/3/events", body: hello}, {method: "GET", path: "/apps/3/channels"},
		{method: "POST", path: "/apps/3/events", body: "{}"}, {method: "POST", path: "/apps/3/events", body: hello, secret: "wrong"},
		{method: "GET", path: "/nothing"}, {method: "POST", path: "/apps/3/events", body: hello},
	} {
		h, err := http.NewRequest(q.method, "http://"+r.endpoint.Addr().String()+q.sign(r.clock.now()), strings.NewReader(q.body))
		if err != nil {
			t.Fatal(err)
		}
		reused := false
		h = h.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }}))
		response, err := r.client.Do(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Error(err)
		}
		response.Body.Close()
		if reused != (i > 0) {
			t.Errorf("request %d: connection used again: %v", i, reused)
		}
	}
}

// TestBodies sends a body in pieces, after a pause that is asked for, and too long.
func TestBodies(t *testing.T) {
	r := start(t, nil, settingsOf(t, "", `{"limits":{"max_body":1000}}`))
	r.send(request{method: "POST", path: "/apps/3/events", body: hello, reader: io.MultiReader(strings.NewReader(hello[:5]), strings.NewReader(hello[5:]))}).is(200)

	conn, err := net.Dial("tcp", r.endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	q := request{method: "POST", path: "/apps/3/events", body: hello}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", q.sign(r.clock.now()), len(hello))
	reader := bufio.NewReader(conn)
	if line, err := reader.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Errorf("%q, %v", line, err)
	}
	if _, err := reader.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, hello)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}

	long := `{"name":"e","channel":"a","data":"` + strings.Repeat("x", 1000) + `"}`
	r.event(long).is(413).says("Request body too large\n")
	r.send(request{method: "POST", path: "/apps/3/events", body: long, reader: io.MultiReader(strings.NewReader(long))}).is(413)
	r.send(request{method: "POST", path: "/apps/3/events", body: hello, reader: strings.NewReader(hello + " ")}).is(401).contains("body_md5")
	r.published(2)
}

// TestStrangersBodyIsNotRead answers before a body comes that nobody signed.
func TestStrangersBodyIsNotRead(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	conn, err := net.Dial("tcp", r.endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", request{method: "POST", path: "/apps/3/events", body: hello, secret: "wrong"}.sign(r.clock.now()))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestBodyLimit(t *testing.T) {
	for more, want := range map[string]int64{
		`{}`:                                 1_304_320,
		`{"limits":{"max_body":"1MiB"}}`:     1 << 20,
		`{"limits":{"max_body":0}}`:          core.MaxEventBytes,
		`{"limits":{"header_timeout":"5s"}}`: 1_304_320,
	} {
		raw := settingsOf(t, "", more)
		c, err := read(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.bodyLimit(raw); err != nil || got != want {
			t.Errorf("%s: %d, want %d (%v)", more, got, want, err)
		}
	}
	small := settingsOf(t, `{"limits":{"event_data":10,"events_per_batch":1}}`)
	small = []byte(strings.Replace(string(small), `{"id":4,"key":"other-key","secret":"`+testSecret+`"}`, `{"id":4,"key":"other-key","secret":"x","limits":{"event_data":10,"events_per_batch":1,"channels_per_event":1}}`, 1))
	c, err := read(small)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.bodyLimit(small); err != nil || got != 1<<20 {
		t.Errorf("%d, %v", got, err)
	}
}

// TestEverythingAllowedFits sends what the limits allow, escaped as widely as can
// be.
func TestEverythingAllowedFits(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	wide := func(n int) string { return strings.Repeat(`\ud83d\ude00`, n) }
	narrow := func(n int) string { return strings.Repeat(`\u0078`, n) }
	event := func(i int) string {
		return fmt.Sprintf(`{"name":"%s","channel":"%s%d","data":"%s","socket_id":"1.2","idempotency_key":"%s"}`, wide(200), narrow(199), i, wide(10240), wide(127)+fmt.Sprint(i))
	}
	elements := make([]string, 10)
	for i := range elements {
		elements[i] = event(i)
	}
	r.post("/apps/3/batch_events", `{"batch":[`+strings.Join(elements, ",")+`]}`).is(200)
	if e := r.published(10); len(e.Data) != 4*10240 {
		t.Errorf("%d bytes", len(e.Data))
	}
}

func TestReconfigure(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	r.event(hello).is(200)
	apply := func(config json.RawMessage, want error) {
		t.Helper()
		if err := r.Reconfigure(t.Context(), config); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", config, err, want)
		}
	}
	apply(settingsOf(t, `{"enabled":false}`), nil)
	r.event(hello).is(403)
	apply(settingsOf(t, `{"secret":"changed"}`), nil)
	r.event(hello).is(401)
	r.send(request{method: "POST", path: "/apps/3/events", body: hello, secret: "changed"}).is(200)
	apply(settingsOf(t, `{"id":"new"}`), nil)
	r.event(hello).is(404)
	r.send(request{method: "POST", path: "/apps/new/events", body: hello}).is(200)
	apply(settingsOf(t, "", `{"trusted_proxies":["10.0.0.0/8"]}`), nil)
	for _, more := range []string{`{"listen":"127.0.0.1:1"}`, `{"path_prefix":"/x"}`, `{"limits":{"max_body":5}}`, `{"tls":{"cert":"c","key":"k"}}`} {
		apply(settingsOf(t, "", more), core.ErrRestart)
	}
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"secret":""}`)); err == nil || errors.Is(err, core.ErrRestart) {
		t.Errorf("a wrong configuration: %v", err)
	}
	r.event(hello).is(200)
	r.published(4)
}

// TestReconfigureUnderLoad drops no request.
func TestReconfigureUnderLoad(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	var sent atomic.Int32
	var over atomic.Bool
	finished := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { finished <- struct{}{} }()
			for !over.Load() {
				a, err := r.try(request{method: "POST", path: "/apps/3/events", body: hello})
				if err != nil || a.status != 200 {
					t.Errorf("%+v, %v", a, err)
					return
				}
				sent.Add(1)
			}
		}()
	}
	for i := range 50 {
		if err := r.Reconfigure(t.Context(), settingsOf(t, fmt.Sprintf(`{"limits":{"events_per_batch":%d}}`, i+1))); err != nil {
			t.Error(err)
		}
	}
	over.Store(true)
	for range 4 {
		<-finished
	}
	if n := len(r.events()); n != int(sent.Load()) {
		t.Errorf("%d events for %d requests", n, sent.Load())
	}
}

// TestStop answers what is under way; and where it may not wait, leaves nothing
// behind.
func TestStop(t *testing.T) {
	for _, patient := range []bool{true, false} {
		publishing, proceed := make(chan struct{}), make(chan struct{})
		r := start(t, func(h *coretest.Host) {
			h.OnPublish = func(ctx context.Context, _ core.Publication) ([]core.Receipt, error) {
				close(publishing)
				select {
				case <-proceed:
					return nil, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
		}, settingsOf(t, ""))
		answered := make(chan answer)
		go func() {
			a, err := r.try(request{method: "POST", path: "/apps/3/events", body: hello})
			if (err == nil) != patient {
				t.Errorf("patient %v: %v", patient, err)
			}
			answered <- a
		}()
		<-publishing
		ctx, cancel := context.WithCancel(context.Background())
		if patient {
			close(proceed)
		} else {
			cancel()
		}
		if err := r.Stop(ctx); err != nil {
			t.Error(err)
		}
		cancel()
		if a := <-answered; patient {
			a.is(200)
		}
	}
}

// TestTLSOnPlainPort is what happens to a program of which only the host was
// changed.
func TestTLSOnPlainPort(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	conn, err := net.Dial("tcp", r.endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := tls.Client(conn, &tls.Config{ServerName: "x"}).HandshakeContext(t.Context()); err == nil {
		t.Error("a TLS handshake succeeded")
	}
	if log := r.host.logged(); !strings.Contains(log, "level=WARN") || !strings.Contains(log, "TLS") {
		t.Errorf("log: %s", log)
	}
}

// TestPlainOnTLSPort is the other way round.
func TestPlainOnTLSPort(t *testing.T) {
	cert, key, _ := selfSigned(t)
	r := start(t, nil, settingsOf(t, "", `{"tls":{"cert":"`+cert+`","key":"`+key+`"}}`))
	if a := r.event(hello); a.status != 400 || !strings.Contains(a.body, "HTTPS") {
		t.Errorf("%+v", a)
	}
}

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct{ config, paths string }{
		"right":       {string(settingsOf(t, "")), ""},
		"no JSON":     {`{`, "error:"},
		"unknown key": {string(settingsOf(t, `{"nonsense":1}`)), "error:"},
		"all of it":   {`{"listen":"x","path_prefix":"x/","trusted_proxies":["y"],"apps":[]}`, "error:/listen error:/trusted_proxies/0 error:/path_prefix error:/apps"},
		"no window":   {string(settingsOf(t, `{"timestamp_window":"0","refuse_repeats":true}`)), "warning:/apps/0/timestamp_window warning:/apps/0/refuse_repeats"},
		"shared key":  {string(settingsOf(t, `{"key":"other-key"}`)), "error:/apps/1/key"},
	} {
		var got []string
		for _, f := range (Adapter{}).Validate(json.RawMessage(test.config)).Findings {
			got = append(got, f.Severity.String()+":"+f.Path)
		}
		if strings.Join(got, " ") != test.paths {
			t.Errorf("%s: %v, want %s", name, got, test.paths)
		}
	}
	for prefix, ok := range map[string]bool{"": true, "/a": true, "/a/b-c": true, "a": false, "/": false, "/a/": false, "/a//b": false, "/a/../b": false, "/a b": false, "/{x}": false, "/a%20": false} {
		if prefixes.MatchString(prefix) != ok {
			t.Errorf("prefix %q: want %v", prefix, ok)
		}
	}
	v := Adapter{}.Validate(settingsOf(t, "", `{"path_prefix":"/p"}`))
	if a := v.Addresses; len(a) != 1 || a[0].Listen != "127.0.0.1:0" || strings.Join(a[0].Paths, " ") != "/p/apps/ /p/users/" {
		t.Errorf("%+v", a)
	}
	if _, err := settings.Decode[config](settingsOf(t, `{"limits":{"event_datum":1}}`)); err == nil {
		t.Error("an unknown limit is taken")
	}
}

func TestMetricsAndLog(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	r.event(`{"name":"e","channels":["a","b"],"data":"x"}`).is(200)
	r.send(request{method: "POST", path: "/apps/9/events", body: hello}).is(404)
	r.send(request{method: "GET", path: "/apps/3/channels", header: http.Header{"X-Pusher-Library": {"pusher-http-go 5.1.1"}}}).is(200)
	for _, want := range []struct {
		name   string
		labels []string
		value  float64
	}{
		{"bridge_pusher_rest_requests_total", []string{"app", "3", "operation", "events", "status", "200"}, 1},
		{"bridge_pusher_rest_requests_total", []string{"app", "", "operation", "events", "status", "404"}, 1},
		{"bridge_pusher_rest_refused_total", []string{"app", "", "reason", "unknown_app"}, 1},
		{"bridge_pusher_rest_events_total", []string{"app", "3"}, 2},
		{"bridge_pusher_rest_publish_seconds", nil, 1},
	} {
		if got := r.metric(want.name, want.labels...); got != want.value {
			t.Errorf("%s %v: %v, want %v", want.name, want.labels, got, want.value)
		}
	}
	for _, part := range []string{"level=DEBUG", "operation=channels", "status=200", "app=3", `library="pusher-http-go 5.1.1"`, "client=127.0.0.1", "reason=unknown_app"} {
		if !strings.Contains(r.host.logged(), part) {
			t.Errorf("the log lacks %s:\n%s", part, r.host.logged())
		}
	}
}
