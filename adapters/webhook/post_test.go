package webhook

import (
	"bufio"
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
)

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func TestAnswers(t *testing.T) {
	receiver := newReceiver(t)
	r := start(t, receiver.URL)
	for name, test := range map[string]struct {
		answer    http.HandlerFunc
		code      string // "" for accepted
		retryable bool
		after     time.Duration
	}{
		"200":                    {status(200), "", false, 0},
		"204":                    {status(204), "", false, 0},
		"299":                    {status(299), "", false, 0},
		"long body":              {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, "", false, 0},
		"410":                    {status(410, "Retry-After", "5"), core.CodeGone, false, 0},
		"301":                    {status(301, "Location", receiver.URL+"/elsewhere"), codeStatus, true, 0},
		"307":                    {status(307, "Location", receiver.URL+"/elsewhere"), codeStatus, true, 0},
		"400":                    {status(400), codeStatus, true, 0},
		"401":                    {status(401), codeStatus, true, 0},
		"404":                    {status(404), codeStatus, true, 0},
		"429":                    {status(429, "Retry-After", "120"), codeStatus, true, 2 * time.Minute},
		"500":                    {status(500), codeStatus, true, 0},
		"503 with a date":        {status(503, "Retry-After", time.UnixMilli(eventTime).Add(90*time.Second).UTC().Format(http.TimeFormat)), codeStatus, true, 89877 * time.Millisecond},
		"503 with a past date":   {status(503, "Retry-After", "Mon, 02 Jan 2006 15:04:05 GMT"), codeStatus, true, 0},
		"503 with a far date":    {status(503, "Retry-After", "Mon, 02 Jan 2096 15:04:05 GMT"), codeStatus, true, maxRetryAfter},
		"503 with many seconds":  {status(503, "Retry-After", "999999999"), codeStatus, true, maxRetryAfter},
		"503 with nonsense":      {status(503, "Retry-After", "-5"), codeStatus, true, 0},
		"503 with more nonsense": {status(503, "Retry-After", "99999999999999999999"), codeStatus, true, 0},
		"503 with a zero":        {status(503, "Retry-After", "0"), codeStatus, true, 0},
	} {
		receiver.answers(test.answer)
		receipt := r.one(occupied("c"))
		if h := receiver.next(t); h.path != "/" {
			t.Errorf("%s: path %s", name, h.path)
		}
		if test.code == "" {
			if receipt.Err != nil || receipt.Receivers != core.ReceiversUnknown {
				t.Errorf("%s: %+v", name, receipt)
			}
			continue
		}
		if e := receipt.Err; e == nil || e.Code != test.code || e.Retryable != test.retryable || e.After != test.after || e.Outcome != core.OutcomeNotDone {
			t.Errorf("%s: %+v", name, e)
		}
	}
	receiver.none(t) // no redirect was followed
}

func TestNoAnswer(t *testing.T) {
	hanging := newReceiver(t)
	hanging.answers(func(_ http.ResponseWriter, q *http.Request) { <-q.Context().Done() })
	breaking := newReceiver(t)
	breaking.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	closed := httptest.NewServer(nil)
	closed.Close()
	secure := httptest.NewTLSServer(nil)
	t.Cleanup(secure.Close)
	for name, test := range map[string]struct {
		url, more, code string
		outcome         core.Outcome
		final           bool
	}{
		"hangs":     {hanging.URL, `{"timeout":"200ms"}`, core.CodeTimeout, core.OutcomeUnknown, false},
		"breaks":    {breaking.URL, `{}`, codeNetwork, core.OutcomeUnknown, false},
		"closed":    {closed.URL, `{}`, codeNetwork, core.OutcomeNotDone, false},
		"unknown":   {secure.URL, `{}`, codeNetwork, core.OutcomeNotDone, false},
		"forbidden": {hanging.URL, `{"private_addresses":false}`, codeAddress, core.OutcomeNotDone, true},
	} {
		t.Run(name, func(t *testing.T) {
			url := strings.Replace(test.url, "://", "://user:hush@", 1) + "/?token=hush"
			r := start(t, url, test.more)
			receipt := r.one(occupied("c"))
			if e := receipt.Err; e == nil || e.Code != test.code || e.Retryable == test.final || e.Outcome != test.outcome {
				t.Errorf("%+v", e)
			} else if strings.Contains(e.Message, "hush") {
				t.Errorf("the refusal tells a secret: %s", e.Message)
			}
		})
	}
}

// TestOnTheWire looks at the bytes: some receivers compare headers as they are
// written.
func TestOnTheWire(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	raw := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		reader, text := bufio.NewReader(conn), ""
		for !strings.HasSuffix(text, "\r\n\r\n") {
			line, err := reader.ReadString('\n')
			if err != nil {
				break
			}
			text += line
		}
		raw <- text
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}()
	r := start(t, "http://"+listener.Addr().String()+"/hook?a=b", `{"headers":{"x-custom":"one","authorization":"Bearer t"}}`)
	if receipt := r.one(occupied("c")); receipt.Err != nil {
		t.Fatalf("%+v", receipt)
	}
	got, body := <-raw, `{"time_ms":1700000000123,"events":[{"name":"channel_occupied","channel":"c"}]}`
	for _, line := range []string{
		"POST /hook?a=b HTTP/1.1", "Content-Type: application/json", "X-Pusher-Key: key", fmt.Sprint("Content-Length: ", len(body)),
		"X-Pusher-Signature: " + sign("secret", []byte(body)),
		"User-Agent: " + userAgent, "X-Custom: one", "Authorization: Bearer t",
	} {
		if !strings.Contains(got, line+"\r\n") {
			t.Errorf("%q is missing in\n%s", line, got)
		}
	}
	if strings.Contains(got, "Transfer-Encoding") {
		t.Errorf("chunked:\n%s", got)
	}
}

func TestWanted(t *testing.T) {
	receiver := newReceiver(t)
	for more, want := range map[string][]string{
		`{}`: {"channel_occupied", "cache_miss", "client_event"},
		`{"event_types":["channel_occupied","client_event"]}`:                                                 {"channel_occupied", "client_event"},
		`{"filter":{"channel_name_starts_with":"private-"}}`:                                                  {"client_event"},
		`{"filter":{"channel_name_ends_with":"-a"}}`:                                                          {"channel_occupied", "client_event"},
		`{"filter":{"channel_name_starts_with":"p","channel_name_ends_with":"b"}}`:                            {"cache_miss"},
		`{"filter":{"channel_pattern":"^public-[ab]$"}}`:                                                      {"channel_occupied", "cache_miss"},
		`{"filter":{"channel_pattern":"a$"},"event_types":["channel_occupied","cache_miss"],"concurrency":1}`: {"channel_occupied"},
	} {
		t.Run(more, func(t *testing.T) {
			r := start(t, receiver.URL, more)
			miss := occupied("public-b")
			miss.Name = cacheMiss
			for _, event := range []core.Event{
				occupied("public-a"), miss, {Kind: core.KindClient, Topic: "private-a", Name: "client-x", Type: core.TypeText},
				occupied("#server-to-user-bob"),
			} {
				if receipt := r.one(event); receipt.Err != nil {
					t.Errorf("%+v", receipt)
				}
			}
			got := []string{}
			for range want {
				got = append(got, receiver.next(t).events(t)[0]["name"].(string))
			}
			receiver.none(t)
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("got %v, want %v", got, want)
			}
			sent := r.metric("bridge_webhook_events_total", map[string]string{"result": "sent"})
			filtered := r.metric("bridge_webhook_events_total", map[string]string{"result": "filtered"})
			if int(sent) != len(want) || int(filtered) != 4-len(want) {
				t.Errorf("%v sent, %v filtered", sent, filtered)
			}
			// An audience or a message is refused, wanted or not.
			if receipt := r.one(core.Event{Topic: "public-a"}); receipt.Err == nil || receipt.Err.Code != codeKind {
				t.Errorf("%+v", receipt)
			}
		})
	}
}

// 410 shows in the status until something is taken.
func TestCheck(t *testing.T) {
	receiver := newReceiver(t)
	r := start(t, receiver.URL)
	for _, test := range []struct {
		status int
		fails  bool
	}{{200, false}, {500, false}, {410, true}, {500, true}, {200, false}} {
		receiver.answers(status(test.status))
		r.one(occupied("c"))
		if err := r.Check(context.Background()); (err != nil) != test.fails {
			t.Errorf("after %d: %v", test.status, err)
		}
	}
	if n := r.metric("bridge_webhook_requests_total", map[string]string{"status": "2xx"}); n != 2 {
		t.Errorf("%v requests with 2xx", n)
	}
	if n := r.metric("bridge_webhook_request_seconds", nil); n != 5 {
		t.Errorf("%v requests were timed", n)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"5", "-1", "Mon, 02 Jan 2006 15:04:05 GMT", " 7 ", "1e9", ""} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if after := retryAfter(value, time.UnixMilli(eventTime)); after < 0 || after > maxRetryAfter {
			t.Errorf("%q: %s", value, after)
		}
	})
}

// A receiver with a certificate of its own authority is reached over HTTP/2.
func TestOverTLS(t *testing.T) {
	versions := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		versions <- q.Proto + " " + q.Header.Get(headerKey)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{`{"tls":{"ca":"` + ca + `"}}`, `{"tls":{"verify":false}}`} {
		t.Run(more[:12], func(t *testing.T) {
			r := start(t, server.URL, more)
			if receipt := r.one(occupied("c")); receipt.Err != nil {
				t.Fatalf("%+v", receipt.Err)
			}
			if got := <-versions; got != "HTTP/2.0 key" {
				t.Errorf("request %s", got)
			}
			// The client changes with its configuration.
			if err := r.Reconfigure(t.Context(), settingsOf(t, server.URL)); err != nil {
				t.Fatal(err)
			}
			if receipt := r.one(occupied("c")); receipt.Err == nil || receipt.Err.Outcome != core.OutcomeNotDone {
				t.Errorf("an unknown authority: %+v", receipt)
			}
		})
	}
}
