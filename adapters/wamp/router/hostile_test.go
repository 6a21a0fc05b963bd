package router_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
)

func TestUpgradeRefused(t *testing.T) {
	r := start(t, func(o *router.Options) {
		o.Origins = []string{"*.example.com", "https://only.tls", "localhost:*", "null"}
	})
	request := func(header map[string]string) int {
		req, err := http.NewRequest("GET", "http"+strings.TrimPrefix(r.url, "ws"), nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "wamp.2.json",
		} {
			req.Header.Set(name, value)
		}
		for name, value := range header {
			req.Header.Set(name, value)
		}
		response, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	defer http.DefaultClient.CloseIdleConnections()
	host := strings.TrimPrefix(r.url, "ws://")
	tests := []struct {
		header map[string]string
		want   int
	}{
		{nil, 101},
		{map[string]string{"Upgrade": ""}, 426},
		{map[string]string{"Sec-WebSocket-Protocol": ""}, 400},
		{map[string]string{"Sec-WebSocket-Protocol": "wamp.2.ubjson, chat"}, 400},
		{map[string]string{"Sec-WebSocket-Protocol": "wamp.2.ubjson, WAMP.2.JSON"}, 101},
		{map[string]string{"Sec-WebSocket-Version": "8"}, 400},
		{map[string]string{"Origin": "http://" + host}, 101},
		{map[string]string{"Origin": "https://" + strings.ToUpper(host)}, 101},
		{map[string]string{"Origin": "https://a.example.com"}, 101},
		{map[string]string{"Origin": "https://example.com"}, 403},
		{map[string]string{"Origin": "https://a.example.com.evil.org"}, 403},
		{map[string]string{"Origin": "https://only.tls"}, 101},
		{map[string]string{"Origin": "http://only.tls"}, 403},
		{map[string]string{"Origin": "http://localhost:3000"}, 101},
		{map[string]string{"Origin": "http://localhost"}, 403},
		{map[string]string{"Origin": "null"}, 101},
		{map[string]string{"Origin": "file://"}, 403},
		{map[string]string{"Origin": "://"}, 403},
	}
	for _, tt := range tests {
		if got := request(tt.header); got != tt.want {
			t.Errorf("%v: status %d, want %d", tt.header, got, tt.want)
		}
	}
}

func TestTooManySessions(t *testing.T) {
	dial := func(r *running) int {
		ws, response, err := websocket.Dial(t.Context(), r.url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.json"}})
		if err == nil {
			t.Cleanup(func() { ws.CloseNow() })
		}
		return response.StatusCode
	}
	byAddress := start(t, func(o *router.Options) { o.MaxSessionsPerIP = 2 })
	first := Join(t, byAddress.url, "json", "realm1")
	if got := dial(byAddress); got != http.StatusSwitchingProtocols {
		t.Errorf("second: %d", got)
	}
	if got := dial(byAddress); got != http.StatusTooManyRequests {
		t.Errorf("third: %d", got)
	}
	first.Close()
	for dial(byAddress) == http.StatusTooManyRequests { // until the router has noticed
		time.Sleep(time.Millisecond)
	}
	total := start(t, func(o *router.Options) { o.MaxSessions = 1 })
	Join(t, total.url, "json", "realm1")
	if got := dial(total); got != http.StatusServiceUnavailable {
		t.Errorf("above the total: %d", got)
	}
}

func TestSubprotocolOfTheClientsChoice(t *testing.T) {
	r := start(t, nil)
	ws, _, err := websocket.Dial(t.Context(), r.url, &websocket.DialOptions{
		Subprotocols: []string{"wamp.2.ubjson", "wamp.2.cbor", "wamp.2.json"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if got := ws.Subprotocol(); got != "wamp.2.cbor" {
		t.Errorf("got %s", got)
	}
}

func TestBadOpenings(t *testing.T) {
	r := start(t, func(o *router.Options) { o.HelloTimeout = 50 * time.Millisecond })
	tests := []struct {
		name  string
		send  []byte
		abort wamp.URI
		code  websocket.StatusCode
	}{
		{"nothing", nil, "", websocket.StatusPolicyViolation},
		{"garbage", []byte("garbage"), wamp.ErrProtocolViolation, websocket.StatusProtocolError},
		{"SUBSCRIBE first", []byte(`[32,1,{},"topic"]`), wamp.ErrProtocolViolation, websocket.StatusNormalClosure},
		{"unknown realm", []byte(`[1,"nowhere",{"roles":{"subscriber":{}}}]`), wamp.ErrNoSuchRealm, websocket.StatusNormalClosure},
		{"no realm", []byte(`[1,"",{"roles":{"subscriber":{}}}]`), wamp.ErrNoSuchRealm, websocket.StatusNormalClosure},
		{"no roles", []byte(`[1,"realm1",{}]`), wamp.ErrNoSuchRole, websocket.StatusNormalClosure},
		{"unknown roles", []byte(`[1,"realm1",{"roles":{"x":{}}}]`), wamp.ErrNoSuchRole, websocket.StatusNormalClosure},
		{"roles of the wrong type", []byte(`[1,"realm1",{"roles":[1]}]`), wamp.ErrNoSuchRole, websocket.StatusNormalClosure},
		{"unknown method", []byte(`[1,"realm1",{"roles":{"subscriber":{}},"authmethods":["x"]}]`), wamp.ErrAuthenticationFailed, websocket.StatusNormalClosure},
		{"methods of the wrong type", []byte(`[1,"realm1",{"roles":{"subscriber":{}},"authmethods":[1,{}]}]`), wamp.ErrAuthenticationFailed, websocket.StatusNormalClosure},
		{"the bridge's own method", []byte(`[1,"realm1",{"roles":{"subscriber":{}},"authmethods":["` + auth.MethodOwn + `"],"authrole":"","authid":"bridge"}]`), wamp.ErrAuthenticationFailed, websocket.StatusNormalClosure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := Dial(t, r.url, "json", nil)
			if tt.send != nil {
				raw.SendBytes(tt.send)
			}
			code, last := raw.Ended()
			if code != tt.code {
				t.Errorf("close code %d, want %d", code, tt.code)
			}
			abort, _ := last.(*wamp.Abort)
			switch {
			case tt.abort == "" && last == nil:
			case abort == nil || abort.Reason != tt.abort:
				t.Errorf("last message %+v, want ABORT %s", last, tt.abort)
			}
		})
	}
}

// TestNobodyIsTrusted joins in every way and looks for the role that the core
// gives to peers that it trusts.
func TestNobodyIsTrusted(t *testing.T) {
	r := start(t, nil)
	for _, details := range []wamp.Dict{nil, {"authrole": "trusted"}, {"authid": "x", "authrole": "trusted", "authmethod": "local", "transport": wamp.Dict{"auth": wamp.Dict{}}}} {
		raw := Dial(t, r.url, "json", nil)
		raw.Send(Hello("realm1", details))
		welcome := raw.Welcome()
		if welcome.Details["authrole"] != "anonymous" || welcome.Details["authmethod"] != "anonymous" || welcome.Details["authid"] == "x" {
			t.Errorf("%v made %v", details, welcome.Details)
		}
	}
	own, err := r.Join(t.Context(), "realm1", "some")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close(t.Context(), wamp.CloseRealm)
	if own.Welcome["authrole"] != "some" {
		t.Errorf("own session became %v", own.Welcome)
	}
	denied := make(chan *wamp.Error, 1)
	err = own.Publish(t.Context(), &wamp.Publish{Options: wamp.Dict{"acknowledge": true}, Topic: "t"}, outcomeError(denied))
	if err != nil {
		t.Fatal(err)
	}
	if e := <-denied; e == nil || e.Error != wamp.ErrNotAuthorized {
		t.Errorf("a role without permissions published: %v", e)
	}
}

// TestHostile sends what ends the process, or does worse, in the core. Each
// session must be answered or ended, and the router must live.
func TestHostile(t *testing.T) {
	r := start(t, func(o *router.Options) {
		o.Realms[0].Policy.Roles["anonymous"] = permission.NewSet([]permission.Rule{
			allRule(""), {URI: "secret", Match: permission.Exact},
		})
	})
	watch := Join(t, r.url, "json", "realm1")
	watch.Subscribe("last.", "prefix")

	answers := func(t *testing.T, send wamp.Message, want wamp.URI) {
		t.Helper()
		raw := Join(t, r.url, "json", "realm1")
		raw.Send(send)
		if got := Receive[*wamp.Error](raw); got.Error != want {
			t.Errorf("%+v is answered with %s", send, got.Error)
		}
	}
	ends := func(t *testing.T, send string) {
		t.Helper()
		raw := Join(t, r.url, "json", "realm1")
		raw.SendBytes([]byte(send))
		if _, last := raw.Ended(); !isViolation(last) {
			t.Errorf("%s ended with %+v", send, last)
		}
	}
	ack := wamp.Dict{"acknowledge": true}
	long := wamp.URI(strings.Repeat("u", 101))

	answers(t, &wamp.Publish{Request: 1, Options: ack, Topic: "wamp.session.on_join"}, wamp.ErrInvalidURI)
	answers(t, &wamp.Publish{Request: 1, Options: ack, Topic: "bridge.x"}, wamp.ErrInvalidURI)
	answers(t, &wamp.Publish{Request: 1, Options: ack, Topic: long}, wamp.ErrInvalidURI)
	answers(t, &wamp.Publish{Request: 1, Options: ack, Topic: "a..b"}, wamp.ErrInvalidURI)
	answers(t, &wamp.Subscribe{Request: 1, Topic: long}, wamp.ErrInvalidURI)
	answers(t, &wamp.Subscribe{Request: 1, Topic: "a", Options: wamp.Dict{"match": "fuzzy"}}, wamp.ErrInvalidArgument)
	answers(t, &wamp.Subscribe{Request: 1, Topic: "a", Options: wamp.Dict{"match": []byte("prefix")}}, wamp.ErrInvalidArgument)
	answers(t, &wamp.Register{Request: 1, Procedure: "wamp.x"}, wamp.ErrInvalidURI)
	answers(t, &wamp.Register{Request: 1, Procedure: "bridge.x"}, wamp.ErrInvalidURI)
	answers(t, &wamp.Register{Request: 1, Procedure: long}, wamp.ErrInvalidURI)
	answers(t, &wamp.Register{Request: 1, Procedure: "a", Options: wamp.Dict{"invoke": "whatever"}}, wamp.ErrInvalidArgument)
	answers(t, &wamp.Call{Request: 1, Procedure: long}, wamp.ErrInvalidURI)
	answers(t, testament("wamp.session.on_join", nil), wamp.ErrInvalidURI)
	answers(t, testament("secret", nil), wamp.ErrNotAuthorized)
	ends(t, `[16,1,{"ppt_scheme":"x","ppt_serializer":5},"t"]`)
	ends(t, `[16,1,{"ppt_scheme":5},"t"]`)
	ends(t, `[48,1,{"ppt_scheme":"x","ppt_cipher":[]},"p"]`)
	ends(t, `[70,1,{"ppt_scheme":"x","ppt_keyid":{}}]`)
	ends(t, `[2,1,{}]`)
	ends(t, `[1,"realm1",{"roles":{"subscriber":{}}}]`)
	ends(t, `[8,16,1,{},"com.error"]`)

	// An invocation policy that the core does not know, a registration by two
	// callees and a call would end the process.
	callee := Join(t, r.url, "json", "realm1")
	for n := range 2 {
		callee.Send(&wamp.Register{Request: wamp.ID(n + 1), Procedure: "p", Options: wamp.Dict{"invoke": "whatever"}})
		Receive[*wamp.Error](callee)
	}
	answers(t, &wamp.Call{Request: 1, Procedure: "p"}, wamp.ErrNoSuchProcedure)

	// A testament with options that end the core's own session.
	dying := Join(t, r.url, "json", "realm1")
	dying.Send(testament("last.words", wamp.Dict{"ppt_scheme": "x", "acknowledge": true, "disclose_me": true}))
	Receive[*wamp.Result](dying)
	dying.Close()
	event := Receive[*wamp.Event](watch)
	if event.Details["topic"] != "last.words" || len(event.Details) != 1 {
		t.Errorf("testament %+v", event)
	}
	// The core's own session still works.
	alive := Join(t, r.url, "json", "realm1")
	alive.Send(&wamp.Call{Request: 1, Procedure: "wamp.session.count"})
	Receive[*wamp.Result](alive)
}

func allRule(uri string) permission.Rule {
	rule := permission.Rule{URI: uri, Match: permission.Prefix}
	for action := permission.Call; action <= permission.Subscribe; action++ {
		rule.Allow[action] = true
	}
	return rule
}

func testament(topic string, options wamp.Dict) *wamp.Call {
	return &wamp.Call{
		Request: 1, Procedure: wamp.MetaProcSessionAddTestament,
		Arguments: wamp.List{topic, wamp.List{"bye"}, wamp.Dict{}}, ArgumentsKw: wamp.Dict{"publish_options": options},
	}
}

func isViolation(msg wamp.Message) bool {
	abort, ok := msg.(*wamp.Abort)
	return ok && abort.Reason == wamp.ErrProtocolViolation
}

func TestTooManySubscriptions(t *testing.T) {
	r := start(t, func(o *router.Options) { o.MaxSubscriptions = 2 })
	raw := Join(t, r.url, "json", "realm1")
	raw.Subscribe("a", "exact")
	b := raw.Subscribe("b", "prefix")
	raw.Send(&wamp.Subscribe{Request: 1, Topic: "c"})
	if got := Receive[*wamp.Error](raw); got.Error != wamp.ErrInvalidArgument {
		t.Errorf("third: %+v", got)
	}
	raw.Send(&wamp.Unsubscribe{Request: 2, Subscription: b})
	Receive[*wamp.Unsubscribed](raw)
	raw.Subscribe("c", "exact")
}

// TestSubscriptionsCounting wants refused subscriptions not to be counted,
// nor one that is there already.
func TestSubscriptionsCounting(t *testing.T) {
	r := start(t, func(o *router.Options) { o.MaxSubscriptions = 2 })
	raw := Join(t, r.url, "json", "realm1")
	for range 5 {
		raw.Subscribe("a", "exact")
		raw.Send(&wamp.Subscribe{Request: 1, Topic: "a..b"})
		Receive[*wamp.Error](raw)
	}
	raw.Subscribe("b", "exact")
}

func TestHelloAfterClose(t *testing.T) {
	r := start(t, nil)
	early := Dial(t, r.url, "json", nil)
	joined := Join(t, r.url, "json", "realm1")
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.Close(ctx)
	}()
	if goodbye := Receive[*wamp.Goodbye](joined); goodbye.Reason != wamp.ErrSystemShutdown {
		t.Errorf("goodbye %s", goodbye.Reason)
	}
	early.Ended()
	joined.Ended()
	<-closed
	if _, err := r.Join(t.Context(), "realm1", ""); err == nil {
		t.Error("joined a closed router")
	}
	_, response, err := websocket.Dial(t.Context(), r.url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.json"}})
	if err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("after close: %v", err)
	}
}
