package crossbar

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestKeys(t *testing.T) {
	r := start(t, nil, `{"keys":[
		{"key":"a","secret":"new","previous_secret":"old"},
		{"key":"b","secret":"bbb","role":"roleB","topics":["com.b.","org.b"]}]}`)
	post := func(key, secret, topic string) answer {
		body := `{"topic":"` + topic + `"}`
		query, _ := Sign(secret, Parameters{Key: key, Timestamp: vectorTime, Seq: "1", Nonce: "1"}, []byte(body))
		return r.post(query, body)
	}
	post("a", "new", "x").id(t, 202)
	if role := r.published(1).Meta["wamp.role"]; role != "role1" {
		t.Errorf("role %s", role)
	}
	post("a", "old", "y").id(t, 202)
	post("a", "bbb", "z").fault(t, 401)
	post("b", "new", "com.b.x").fault(t, 401)
	post("b", "bbb", "com.b.x").id(t, 202)
	if role := r.published(3).Meta["wamp.role"]; role != "roleB" {
		t.Errorf("role %s", role)
	}
	post("b", "bbb", "org.bar").id(t, 202)
	for _, topic := range []string{"com.b", "com.c", "x.com.b.x"} {
		if f := post("b", "bbb", topic).fault(t, 400); f.Error != "wamp.error.not_authorized" {
			t.Errorf("%s: %+v", topic, f)
		}
	}
	r.published(4)
}

// TestSecretsTakeEquallyLong has as many MACs to compute for every key.
func TestSecretsTakeEquallyLong(t *testing.T) {
	ring := newKeyring([]key{{Key: "a", Secret: "1"}, {Key: "b", Secret: "2", PreviousSecret: "3"}}, "r")
	for _, s := range []*sender{ring.senders["a"], ring.senders["b"], ring.stranger} {
		if len(s.secrets) != 2 {
			t.Errorf("%q has %d secrets", s.name, len(s.secrets))
		}
	}
	if result, _ := ring.verify(nil, Parameters{}, "", nil); result.ok || result.sender != nil {
		t.Errorf("%+v", result)
	}
}

func TestReconfigure(t *testing.T) {
	r := start(t, nil, signing)
	r.post(signed(1, hello), hello).id(t, 202)
	apply := func(more string, want error) {
		t.Helper()
		if err := r.Reconfigure(t.Context(), settingsOf(t, more)); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", more, err, want)
		}
	}
	apply(`{"keys":[{"key":"foobar","secret":"changed"},{"key":"more","secret":"x"}],"type":"publisher","role":"role2","realm":"realm2"}`, nil)
	r.post(signed(2, hello), hello).fault(t, 401)
	query, _ := Sign("changed", Parameters{Key: "foobar", Timestamp: vectorTime, Seq: "1", Nonce: "1"}, []byte(hello))
	r.post(query, hello).id(t, 200)
	if event := r.published(2); event.Space != "realm2" || event.Meta["wamp.role"] != "role2" {
		t.Errorf("%+v", event)
	}
	apply(signing, nil)
	if f := r.post(signed(1, hello), hello).fault(t, 401); f.Error != replayedText {
		t.Errorf("a new configuration forgot what was published: %+v", f)
	}
	apply(`{"require_ip":["10.0.0.0/8"]}`, nil)
	r.post("", hello).fault(t, 400)
	apply(`{"trusted_proxies":["127.0.0.1"],"require_ip":["10.0.0.0/8"],"cors_origins":["https://a.example"],"post_body_limit":100}`, nil)
	r.post("", hello, "X-Forwarded-For", "10.1.1.1", "Origin", "https://a.example").id(t, 202)

	for _, other := range []string{`{"listen":"127.0.0.1:1"}`, `{"path":"/other"}`, `{"limits":{"max_body":5}}`, `{"tls":{"cert":"c","key":"k"}}`} {
		apply(other, core.ErrRestart)
	}
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"key":"k"}`)); err == nil || errors.Is(err, core.ErrRestart) {
		t.Errorf("a wrong configuration: %v", err)
	}
	r.post("", hello, "X-Forwarded-For", "10.1.1.1").id(t, 202)
}

// TestReconfigureKeepsBuckets does not hand out tokens anew.
func TestReconfigureKeepsBuckets(t *testing.T) {
	r := start(t, nil, `{"rate_limit":1}`)
	r.post("", hello).id(t, 202)
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"rate_limit":1,"debug":true}`)); err != nil {
		t.Fatal(err)
	}
	r.post("", hello).fault(t, 429)
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"rate_limit":2}`)); err != nil {
		t.Fatal(err)
	}
	r.post("", hello).id(t, 202)
}

// TestReconfigureUnderLoad drops no request.
func TestReconfigureUnderLoad(t *testing.T) {
	r := start(t, nil, `{"max_in_flight":100}`)
	var sent atomic.Int32
	var stop atomic.Bool
	finished := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { finished <- struct{}{} }()
			for !stop.Load() {
				got, err := trySend(r.client, request{url: r.url(""), body: []byte(hello)})
				if err != nil || got.status != 202 && got.status != 200 {
					t.Errorf("%+v, %v", got, err)
					return
				}
				sent.Add(1)
			}
		}()
	}
	for i := range 50 {
		kind := []string{"pusher", "publisher"}[i%2]
		if err := r.Reconfigure(t.Context(), settingsOf(t, `{"max_in_flight":100,"type":"`+kind+`"}`)); err != nil {
			t.Error(err)
		}
	}
	stop.Store(true)
	for range 4 {
		<-finished
	}
	if n := len(r.events()); n != int(sent.Load()) {
		t.Errorf("%d events for %d requests", n, sent.Load())
	}
}

// TestStopFinishes answers what is under way, and refuses what comes later.
func TestStopFinishes(t *testing.T) {
	publishing, proceed := make(chan struct{}), make(chan struct{})
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
			close(publishing)
			<-proceed
			return nil, nil
		}
	})
	url := r.url("")
	answered := make(chan answer)
	go func() {
		got, err := trySend(r.client, request{url: url, body: []byte(hello)})
		if err != nil {
			t.Error(err)
		}
		answered <- got
	}()
	<-publishing
	stopped := make(chan error)
	go func() { stopped <- r.Stop(context.Background()) }()
	close(proceed)
	(<-answered).id(t, 202)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if _, err := trySend(r.client, request{url: url, body: []byte(hello)}); err == nil {
		t.Error("a stopped endpoint answers")
	}
}

// TestStopGivesUp leaves nothing behind when its time is over: neither a request
// that waits for the router nor one that waits for its body.
func TestStopGivesUp(t *testing.T) {
	publishing, cancelled, proceed := make(chan struct{}), make(chan struct{}), make(chan struct{})
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(ctx context.Context, _ core.Publication) ([]core.Receipt, error) {
			close(publishing)
			<-ctx.Done()
			close(cancelled)
			<-proceed
			return nil, ctx.Err()
		}
	}, `{"publish_timeout":"1m"}`)
	conn, err := net.Dial("tcp", r.endpoint.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err) // the handler is reading the body
	}
	go func() { _, _ = trySend(r.client, request{url: r.url(""), body: []byte(hello)}) }()
	<-publishing
	over, cancel := context.WithCancel(context.Background())
	cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- r.Stop(over) }()
	<-cancelled
	for range 1000 {
		runtime.Gosched()
		if len(stopped) > 0 {
			t.Fatal("it is stopped with a request under way")
		}
	}
	close(proceed)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if r.inside.inside != 0 {
		t.Errorf("%d requests are still under way", r.inside.inside)
	}
}

// TestClientHangsUp goes on publishing for a client that is gone.
func TestClientHangsUp(t *testing.T) {
	publishing, hungUp := make(chan struct{}), make(chan struct{})
	result := make(chan error, 1)
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(ctx context.Context, _ core.Publication) ([]core.Receipt, error) {
			close(publishing)
			<-hungUp
			result <- ctx.Err()
			return []core.Receipt{{ID: "5"}}, nil
		}
	}, signing, `{"replay":"idempotent"}`)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		q, _ := http.NewRequestWithContext(ctx, "POST", r.url(signed(1, hello)), strings.NewReader(hello))
		if response, err := r.client.Do(q); err == nil {
			response.Body.Close()
			t.Error("the client did not hang up")
		}
		close(hungUp)
	}()
	<-publishing
	cancel()
	if err := <-result; err != nil {
		t.Errorf("the publication was given up: %v", err)
	}
	if id := r.post(signed(1, hello), hello).id(t, 202); id != 5 {
		t.Errorf("id %d", id)
	}
}

func TestUnixSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "crossbar") // t.TempDir's names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "push.sock")
	r := start(t, nil, `{"listen":"unix:`+socket+`","trusted_proxies":["unix"],"require_ip":["10.0.0.0/8"]}`)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for forwarded, status := range map[string]int{"10.1.1.1": 202, "192.0.2.1": 400, "": 400} {
		fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n%s", forwarded, len(hello), hello)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != status {
			t.Errorf("from %q: status %d", forwarded, response.StatusCode)
		}
	}
	r.published(1)
}
