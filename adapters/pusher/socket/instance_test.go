package socket_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func (i *instance) reconfigure(config string) error {
	return i.Instance.(core.Reconfigurer).Reconfigure(context.Background(), json.RawMessage(config))
}

// TestReconfigure changes apps under their clients.
func TestReconfigure(t *testing.T) {
	listen := freeAddress(t)
	apps := func(list string) string { return fmt.Sprintf(`{"listen":%q,"apps":[%s]}`, listen, list) }
	main := fmt.Sprintf(`{"id":"3","keys":[{"key":%q,"secret":%q},{"key":"second","secret":"2"}]}`, appKey, appSecret)
	i := openConfig(t, nil, listen, apps(main+`,{"id":"gone","key":"gone","secret":"x"},{"id":"off","key":"off","secret":"x"}`))
	stays, second := i.connect("stays"), i.dial("second", "/app/second?"+defaultQuery, nil)
	second.established()
	gone, off := i.dial("gone", "/app/gone?"+defaultQuery, nil), i.dial("off", "/app/off?"+defaultQuery, nil)
	gone.established()
	off.established()
	stays.subscribed("c")
	i.push("cache-x", "e", "kept")

	for _, bad := range []string{apps(``), `{`, apps(main + `,` + main), apps(main + `,{"id":"x"}`)} {
		if err := i.reconfigure(bad); err == nil || errors.Is(err, core.ErrRestart) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	other := apps(main)
	for _, restart := range []string{
		strings.Replace(other, listen, "127.0.0.1:1", 1), strings.Replace(other, "{", `{"path_prefix":"/x",`, 1),
		strings.Replace(other, "{", `{"escape":true,`, 1), strings.Replace(other, "{", `{"limits":{"max_header":"1KiB"},`, 1),
	} {
		if err := i.reconfigure(restart); !errors.Is(err, core.ErrRestart) {
			t.Errorf("%s: %v", restart, err)
		}
	}
	for _, c := range []*client{stays, second, gone, off} {
		c.quiet()
	}

	changed := strings.Replace(main, `{"key":"second","secret":"2"}`, `{"key":"third","secret":"3"}`, 1)
	changed = strings.Replace(changed, "{", `{"limits":{"channels_per_connection":2},`, 1)
	if err := i.reconfigure(apps(changed + `,{"id":"off","key":"off","secret":"x","enabled":false},{"id":"new","key":"new","secret":"n"}`)); err != nil {
		t.Fatal(err)
	}
	gone.expectClose(4001)
	off.expectClose(4003)
	i.dial("again", "/app/off?"+defaultQuery, nil).expectClose(4003)
	i.dial("again", "/app/second?"+defaultQuery, nil).expectClose(4001)
	i.dial("new", "/app/new?"+defaultQuery, nil).established()
	i.dial("third", "/app/third?"+defaultQuery, nil).established()
	if i.push("c", "e", "x") != 1 {
		t.Error("a subscription was lost")
	}
	stays.expect("e", "c", "x")
	stays.subscribed("d")
	second.subscribed("cache-x")
	second.expect("e", "cache-x", "kept")
	stays.subscribe("one-more", "")
	if frame := stays.next(); !strings.Contains(text(frame["data"]), "LimitReached") {
		t.Errorf("the new limit does not count: %s", frame)
	}
	second.send(`{"event":"pusher:subscribe","data":{"channel":"private-p","auth":"second:` + hexHMAC("2", second.socketID+":private-p") + `"}}`)
	if frame := second.next(); !strings.Contains(text(frame["data"]), "Invalid key") {
		t.Errorf("a key that is gone: %s", frame)
	}
}

// TestDrain sends many clients away one after the other, while events go on.
func TestDrain(t *testing.T) {
	i := open(t, nil, "")
	var clients []*client
	for n := range 20 {
		c := i.connect(fmt.Sprint(n))
		c.subscribed("c")
		clients = append(clients, c)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	first := make(chan struct{})
	var once sync.Once
	for _, c := range clients {
		go func() {
			<-c.closed
			once.Do(func() { close(first) })
		}()
	}
	go func() { drained <- i.Instance.(core.Drainer).Drain(ctx) }()
	<-first
	if got := i.push("c", "e", "x"); got == 0 || got == len(clients) {
		t.Errorf("%d receivers amid the drain", got)
	}
	if conn, err := net.Dial("tcp", i.listen); err == nil {
		conn.Close()
		t.Error("it listens while it drains")
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("the drain went beyond its deadline")
	}
	for _, c := range clients {
		<-c.closed
		if c.code != 4200 {
			t.Errorf("closed with %d", c.code)
		}
	}
	if i.Instance.(core.Checker).Check(ctx) == nil {
		t.Error("a drained server is not ready")
	}
	i.push("c", "e", "nobody")
}

// TestUpgrades has requests that are refused, and some that are not.
func TestUpgrades(t *testing.T) {
	listen := freeAddress(t)
	i := openConfig(t, nil, listen, fmt.Sprintf(`{"listen":%q,"path_prefix":"/push/er","trusted_proxies":["127.0.0.1"],
		"apps":[{"id":"3","key":%q,"secret":%q,"tls_only":true,"allowed_origins":["*.example.org","https://a.test:8443","null"]}]}`, listen, appKey, appSecret))
	response, err := http.Get("http://" + listen + "/push/er/app/" + appKey)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("status %d without upgrade", response.StatusCode)
	}
	path := "/push/er/app/" + appKey + "?" + defaultQuery
	for _, test := range []struct {
		proto, origin string
		code          int
	}{
		{"", "", 4000}, {"http", "", 4000}, {"https", "", 0}, {"https", "https://x.example.org", 0}, {"https", "https://example.org", 4009},
		{"https", "https://a.test:8443", 0}, {"https", "http://a.test:8443", 4009}, {"https", "null", 0}, {"https", "http://evil.test", 4009},
		{"", "http://evil.test", 4000}, {"https", "HTTPS://X.Example.ORG", 0}, {"https", "://", 4009},
	} {
		header := http.Header{}
		if test.proto != "" {
			header.Set("X-Forwarded-Proto", test.proto)
		}
		if test.origin != "" {
			header.Set("Origin", test.origin)
		}
		c := i.dial(fmt.Sprint(test), path, header)
		if test.code == 0 {
			c.established()
		} else {
			c.expectClose(test.code)
		}
	}
}

func TestValidate(t *testing.T) {
	for config, want := range map[string]string{
		config("127.0.0.1:6001", ""):                                                                  "",
		`{"listen":"127.0.0.1","apps":[{"id":"3","key":"k","secret":"s"}]}`:                           "/listen",
		`{"listen":"127.0.0.1:1","apps":[]}`:                                                          "/apps",
		`{"listen":"127.0.0.1:1","path_prefix":"x","apps":[{"id":"3","key":"k","secret":"s"}]}`:       "/path_prefix",
		`{"listen":"127.0.0.1:1","path_prefix":"/x/","apps":[{"id":"3","key":"k","secret":"s"}]}`:     "/path_prefix",
		`{"listen":"127.0.0.1:1","path_prefix":"/{x}","apps":[{"id":"3","key":"k","secret":"s"}]}`:    "/path_prefix",
		`{"listen":"127.0.0.1:1","path_prefix":"/x/../y","apps":[{"id":"3","key":"k","secret":"s"}]}`: "/path_prefix",
		`{"listen":"127.0.0.1:1","path_prefix":"/a/b.c","apps":[{"id":"3","key":"k","secret":"s"}]}`:  "",
		`{"listen":5}`: "",
	} {
		v := socket.Adapter{}.Validate(json.RawMessage(config))
		var paths []string
		for _, f := range v.Findings {
			paths = append(paths, f.Path)
		}
		if strings.Join(paths, " ") != want || (want == "" && config[:11] != `{"listen":5` && len(v.Addresses) != 1) {
			t.Errorf("%s: %v %v, want %s", config, v.Findings, v.Addresses, want)
		}
	}
}

// TestHostileMessages sends what no client should.
func TestHostileMessages(t *testing.T) {
	i := open(t, nil, `"limits":{"channels_per_connection":50}`)
	nested := i.connect("nested")
	nested.send(strings.Repeat("[", 90_000))
	nested.expectError(0, "Invalid message")
	nested.send(`{"event":"pusher:subscribe","data":` + strings.Repeat(`{"a":`, 9000) + "1" + strings.Repeat("}", 9000) + `}`)
	nested.expectError(0, "Missing parameter")
	nested.send(`{"event":"pusher:subscribe","data":` + quote(strings.Repeat("[", 50_000)) + `}`)
	nested.expectError(0, "Missing parameter")
	nested.quiet()

	invalid := i.connect("invalid UTF-8")
	invalid.write(websocket.MessageText, []byte("{\"event\":\"\xff\"}"))
	invalid.expectClose(1007)

	flood := i.connect("flood")
	for n := range 1000 {
		flood.subscribe(fmt.Sprint("c", n), "")
	}
	accepted, refused := 0, 0
	for range 1000 {
		if frame := flood.next(); text(frame["event"]) == "pusher_internal:subscription_succeeded" {
			accepted++
		} else if strings.Contains(text(frame["data"]), "LimitReached") {
			refused++
		}
	}
	if accepted != 50 || refused != 950 {
		t.Errorf("%d subscriptions accepted, %d refused", accepted, refused)
	}
	for n := range 1000 {
		flood.unsubscribe(fmt.Sprint("c", n%50))
	}
	for range 950 {
		flood.expectError(0, "No current subscription")
	}
	if listed := ask[core.Channels](i, core.OpChannelsList, "", core.ChannelsParams{}); len(listed.Channels) != 0 {
		t.Errorf("channels are left: %v", listed)
	}

	unsigned := i.connect("unsigned")
	for _, message := range []string{
		`{"event":"pusher:signin","data":{}}`, `{"event":"pusher:signin"}`, `{"event":"pusher:signin","data":"[]"}`,
		`{"event":"pusher:signin","data":{"auth":5,"user_data":{}}}`, `{"event":"pusher:signin","data":{"auth":"a:b","user_data":"{}"}}`,
	} {
		unsigned.send(message)
		unsigned.expectError(4009, "")
	}
	for _, message := range []string{`{"event":"client-x"}`, `{"event":"client-x","channel":5,"data":1}`, `{"event":"client-x","channel":"private-x"}`, `{"event":""}`} {
		unsigned.send(message)
		unsigned.expectError(0, "")
	}
	for n := range 30 { // never ten in a row
		if n%9 == 8 {
			unsigned.quiet()
			continue
		}
		unsigned.send("nonsense")
		unsigned.expectError(0, "Invalid message")
	}
}

// TestSlowClient has one client that never reads, and one that does.
func TestSlowClient(t *testing.T) {
	host := coretest.NewHost(t)
	i := open(t, host, "")
	fast := i.connect("fast")
	fast.subscribed("c")
	slow := dialRaw(t, i.listen)
	slow.send(`{"event":"pusher:subscribe","data":{"channel":"c"}}`)
	for ask[core.Channel](i, core.OpChannelsGet, "c", core.ChannelParams{}).Subscriptions != 2 {
		time.Sleep(time.Millisecond) // until the server has read it
	}
	data := strings.Repeat("x", 64<<10)
	deadline := time.Now().Add(patience)
	for n := 0; i.push("c", "e", data) == 2; n++ {
		fast.expect("e", "c", data)
		if time.Now().After(deadline) {
			t.Fatal("the client that never reads is still there")
		}
	}
	fast.expect("e", "c", data)
	fast.quiet()
	slow.conn.Close()
	for value(t, host.Gather(), "pusher_socket_evicted_total") != 1 || value(t, host.Gather(), "pusher_socket_connections") != 1 {
		if time.Now().After(deadline) {
			t.Fatal("nothing was counted")
		}
	}
}

// raw is a client that reads nothing but what it must.
type raw struct{ conn net.Conn }

func dialRaw(t testing.TB, listen string) *raw {
	t.Helper()
	conn, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	fmt.Fprintf(conn, "GET /app/%s?%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", appKey, defaultQuery)
	head := make([]byte, 64)
	if _, err := conn.Read(head); err != nil || !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
		t.Fatalf("%s %v", head, err)
	}
	t.Cleanup(func() { conn.Close() })
	return &raw{conn}
}

// send writes a masked text frame.
func (r *raw) send(message string) {
	frame := []byte{0x81, 0x80 | byte(len(message)), 0, 0, 0, 0}
	_, _ = r.conn.Write(append(frame, message...))
}

// value is the sum of a metric.
func value(t testing.TB, gatherer prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// TestBurst lets many clients come at once, be told something, and go at once.
func TestBurst(t *testing.T) {
	host := coretest.NewHost(t)
	i := open(t, host, "")
	w := i.connect("w")
	w.joined("presence-r", "w", "w")
	const clients = 2000
	conns := make([]*raw, clients)
	var dialing sync.WaitGroup
	for n := range 16 {
		dialing.Go(func() {
			for m := n; m < clients; m += 16 {
				conns[m] = dialRaw(t, i.listen)
				conns[m].send(`{"event":"pusher:subscribe","data":{"channel":"c"}}`)
			}
		})
	}
	dialing.Wait()
	w.subscribed("c")
	deadline := time.Now().Add(patience)
	for ask[core.Channel](i, core.OpChannelsGet, "c", core.ChannelParams{}).Subscriptions != clients+1 {
		time.Sleep(time.Millisecond) // until the server has read them all
		if time.Now().After(deadline) {
			t.Fatal("not all are subscribed")
		}
	}
	if got := i.push("c", "e", "x"); got != clients+1 {
		t.Errorf("%d receivers", got)
	}
	w.expect("e", "c", "x")
	for _, c := range conns {
		c.conn.Close()
	}
	newcomer := i.connect("newcomer")
	newcomer.quiet()
	for ask[core.Channel](i, core.OpChannelsGet, "c", core.ChannelParams{}).Subscriptions != 1 {
		time.Sleep(time.Millisecond) // until the server has noticed
		if time.Now().After(deadline) {
			t.Fatal("not all are gone")
		}
	}
	for name, want := range map[string]float64{
		"pusher_socket_connections": 2, "pusher_socket_subscriptions": 2, "pusher_socket_opened_total": clients + 2,
	} {
		if got := value(t, host.Gather(), name); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
}
