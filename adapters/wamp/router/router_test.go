package router_test

import (
	"context"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// outcomeError passes on a publication's error.
func outcomeError(to chan<- *wamp.Error) func(session.Outcome) {
	return func(o session.Outcome) { to <- o.Refused }
}

func TestWelcome(t *testing.T) {
	for _, rpc := range []bool{true, false} {
		r := start(t, func(o *router.Options) { o.Realms[0].Policy.RPC = rpc })
		raw := Dial(t, r.url, "json", nil)
		raw.Send(Hello("realm1", nil))
		roles := wamp.DictChild(raw.Welcome().Details, "roles")
		if _, dealer := roles["dealer"]; dealer != rpc {
			t.Errorf("rpc %v: roles %v", rpc, roles)
		}
		features := wamp.DictChild(wamp.DictChild(roles, "broker"), "features")
		if features["event_history"] != nil || features["pattern_based_subscription"] != true {
			t.Errorf("features of the broker: %v", features)
		}
		raw.Send(&wamp.Call{Request: 1, Procedure: "wamp.session.count"})
		msg, err := raw.Read()
		if err != nil {
			t.Fatal(err)
		}
		if _, answered := msg.(*wamp.Result); answered != rpc {
			t.Errorf("rpc %v: CALL is answered with %+v", rpc, msg)
		}
	}
}

// TestPermissions asks the router what the permission package is asked
// elsewhere.
func TestPermissions(t *testing.T) {
	allow := func(uri string, match permission.Match, actions ...permission.Action) permission.Rule {
		rule := permission.Rule{URI: uri, Match: match}
		for _, a := range actions {
			rule.Allow[a] = true
		}
		return rule
	}
	r := start(t, func(o *router.Options) {
		o.Realms[0].Policy.Roles["anonymous"] = permission.NewSet([]permission.Rule{
			allow("pub.", permission.Prefix, permission.Publish),
			allow("sub.", permission.Prefix, permission.Subscribe),
			allow("sub.secret", permission.Exact),
			allow("exact", permission.Exact, permission.Subscribe),
			allow("call.", permission.Prefix, permission.Call),
			allow("reg.", permission.Prefix, permission.Register),
		})
	})
	ack := wamp.Dict{"acknowledge": true}
	match := func(name string) wamp.Dict { return wamp.Dict{"match": name} }
	tests := []struct {
		send    wamp.Message
		allowed bool
	}{
		{&wamp.Publish{Request: 1, Options: ack, Topic: "pub.a"}, true},
		{&wamp.Publish{Request: 1, Options: ack, Topic: "sub.a"}, false},
		{&wamp.Publish{Request: 1, Options: ack, Topic: "other"}, false},
		{&wamp.Subscribe{Request: 1, Topic: "sub.a"}, true},
		{&wamp.Subscribe{Request: 1, Topic: "pub.a"}, false},
		{&wamp.Subscribe{Request: 1, Topic: "sub.secret"}, false},
		{&wamp.Subscribe{Request: 1, Topic: "sub.", Options: match("prefix")}, false},
		{&wamp.Subscribe{Request: 1, Topic: "sub.open.", Options: match("prefix")}, true},
		{&wamp.Subscribe{Request: 1, Topic: "sub.open.", Options: match("wildcard")}, true},
		{&wamp.Subscribe{Request: 1, Topic: "exact"}, true},
		{&wamp.Subscribe{Request: 1, Topic: "exact", Options: match("prefix")}, false},
		{&wamp.Subscribe{Request: 1, Topic: "wamp.session.on_join"}, false},
		{&wamp.Call{Request: 1, Procedure: "wamp.session.list"}, false},
		{&wamp.Call{Request: 1, Procedure: "call.a"}, true},
		{&wamp.Call{Request: 1, Procedure: "reg.a"}, false},
		{&wamp.Register{Request: 1, Procedure: "reg.a"}, true},
		{&wamp.Register{Request: 1, Procedure: "call.a"}, false},
		{&wamp.Register{Request: 1, Procedure: "", Options: match("prefix")}, false},
	}
	for _, tt := range tests {
		raw := Join(t, r.url, "json", "realm1")
		raw.Send(tt.send)
		msg, err := raw.Read()
		if err != nil {
			t.Fatal(err)
		}
		e, isError := msg.(*wamp.Error)
		if denied := isError && e.Error == wamp.ErrNotAuthorized; denied == tt.allowed {
			t.Errorf("%+v is answered with %+v", tt.send, msg)
		}
	}
}

// TestSwap wants other permissions to count for the sessions that there are.
func TestSwap(t *testing.T) {
	r := start(t, nil)
	raw := Join(t, r.url, "json", "realm1")
	raw.Subscribe("a", "exact")
	denying := realm("realm1")
	denying.Policy = &router.Policy{Roles: map[string]*permission.Set{"anonymous": nil}}
	r.Swap(denying)
	raw.Send(&wamp.Subscribe{Request: 2, Topic: "b"})
	if e := Receive[*wamp.Error](raw); e.Error != wamp.ErrNotAuthorized {
		t.Errorf("got %+v", e)
	}
	r.Swap(realm("realm1"))
	raw.Subscribe("b", "exact")
}

// TestEligibility publishes with every form of the options and looks at who
// receives.
func TestEligibility(t *testing.T) {
	r := start(t, nil)
	type listener struct {
		raw *Raw
		id  wamp.ID
		who string
	}
	var listeners []listener
	for range 2 {
		raw := Dial(t, r.url, "json", nil)
		raw.Send(Hello("realm1", nil))
		welcome := raw.Welcome()
		raw.Subscribe("topic", "exact")
		listeners = append(listeners, listener{raw, welcome.ID, welcome.Details["authid"].(string)})
	}
	publisher := Join(t, r.url, "json", "realm1")
	a, b := listeners[0], listeners[1]
	tests := []struct {
		name    string
		options wamp.Dict
		want    []bool // a, b
	}{
		{"nothing", wamp.Dict{}, []bool{true, true}},
		{"eligible list", wamp.Dict{"eligible": wamp.List{a.id}}, []bool{true, false}},
		{"eligible scalar", wamp.Dict{"eligible": a.id}, []bool{true, false}},
		{"eligible empty", wamp.Dict{"eligible": wamp.List{}}, []bool{false, false}},
		{"eligible unknown", wamp.Dict{"eligible": wamp.List{12345}}, []bool{false, false}},
		{"eligible out of range", wamp.Dict{"eligible": wamp.List{0, -1}}, []bool{false, false}},
		{"eligible of the wrong type", wamp.Dict{"eligible": wamp.Dict{}}, []bool{false, false}},
		{"eligible null", wamp.Dict{"eligible": nil}, []bool{true, true}},
		{"eligible_authid", wamp.Dict{"eligible_authid": wamp.List{b.who, "nobody"}}, []bool{false, true}},
		{"eligible_authid scalar", wamp.Dict{"eligible_authid": b.who}, []bool{false, true}},
		{"eligible_authid empty", wamp.Dict{"eligible_authid": wamp.List{}}, []bool{false, false}},
		{"eligible_authrole", wamp.Dict{"eligible_authrole": wamp.List{"anonymous"}}, []bool{true, true}},
		{"eligible_authrole other", wamp.Dict{"eligible_authrole": wamp.List{"admin"}}, []bool{false, false}},
		{"eligible both kinds", wamp.Dict{"eligible": wamp.List{a.id}, "eligible_authid": wamp.List{b.who}}, []bool{false, false}},
		{"eligible by what clients choose", wamp.Dict{"eligible_agent": wamp.List{"x"}}, []bool{true, true}},
		{"exclude list", wamp.Dict{"exclude": wamp.List{a.id}}, []bool{false, true}},
		{"exclude scalar", wamp.Dict{"exclude": a.id}, []bool{false, true}},
		{"exclude empty", wamp.Dict{"exclude": wamp.List{}}, []bool{true, true}},
		{"exclude unknown", wamp.Dict{"exclude": wamp.List{12345}}, []bool{true, true}},
		{"exclude_authid", wamp.Dict{"exclude_authid": wamp.List{a.who}}, []bool{false, true}},
		{"exclude_authrole scalar", wamp.Dict{"exclude_authrole": "anonymous"}, []bool{false, false}},
		{"exclude and eligible", wamp.Dict{"eligible": wamp.List{a.id, b.id}, "exclude_authid": wamp.List{a.who}}, []bool{false, true}},
	}
	for n, tt := range tests {
		publisher.Send(&wamp.Publish{Request: wamp.ID(2*n + 1), Options: tt.options, Topic: "topic", Arguments: wamp.List{tt.name}})
		publisher.Send(&wamp.Publish{Request: wamp.ID(2*n + 2), Topic: "topic", Arguments: wamp.List{"end"}})
		for i, l := range listeners {
			event := Receive[*wamp.Event](l.raw)
			got := event.Arguments[0] == tt.name
			if got != tt.want[i] {
				t.Errorf("%s: listener %d received: %v", tt.name, i, got)
			}
			if got {
				Receive[*wamp.Event](l.raw)
			}
		}
	}
}

// TestDisclosure wants publishers to be told to those who asked for it, where
// the rule says so, and to nobody else.
func TestDisclosure(t *testing.T) {
	for _, tt := range []struct{ allow, rule, ask, want, refused bool }{
		{allow: false, rule: true, ask: false},
		{allow: false, rule: true, ask: true, refused: true},
		{allow: true, rule: false, ask: true},
		{allow: true, rule: true, ask: false, want: true},
		{allow: true, rule: true, ask: true, want: true},
	} {
		r := start(t, func(o *router.Options) {
			o.Realms[0].AllowDisclose = tt.allow
			o.Realms[0].Policy.Roles["anonymous"] = everything(tt.rule)
		})
		wants, hates := Join(t, r.url, "json", "realm1"), Dial(t, r.url, "json", nil)
		hates.SendBytes([]byte(`[1,"realm1",{"roles":{"subscriber":{}}}]`))
		hates.Welcome()
		wants.Subscribe("t", "exact")
		hates.Subscribe("t", "exact")
		publisher := Join(t, r.url, "json", "realm1")
		publisher.Send(&wamp.Publish{Request: 1, Topic: "t", Options: wamp.Dict{"acknowledge": true, "disclose_me": tt.ask}})
		if tt.refused {
			if e := Receive[*wamp.Error](publisher); e.Error != wamp.ErrOptionDisallowedDiscloseMe {
				t.Errorf("%+v: %+v", tt, e)
			}
			continue
		}
		Receive[*wamp.Published](publisher)
		if got := Receive[*wamp.Event](wants).Details["publisher"] != nil; got != tt.want {
			t.Errorf("%+v: disclosed: %v", tt, got)
		}
		if details := Receive[*wamp.Event](hates).Details; len(details) != 0 {
			t.Errorf("%+v: who did not ask got %v", tt, details)
		}
	}
}

func TestCallerDisclosure(t *testing.T) {
	for _, rule := range []bool{true, false} {
		r := start(t, func(o *router.Options) {
			o.Realms[0].AllowDisclose = true
			o.Realms[0].Policy.Roles["anonymous"] = everything(rule)
		})
		callee, caller := Join(t, r.url, "json", "realm1"), Join(t, r.url, "json", "realm1")
		callee.Send(&wamp.Register{Request: 1, Procedure: "p", Options: wamp.Dict{"disclose_caller": true}})
		Receive[*wamp.Registered](callee)
		caller.Send(&wamp.Call{Request: 1, Procedure: "p", Options: wamp.Dict{"disclose_me": true}})
		if got := Receive[*wamp.Invocation](callee).Details["caller"] != nil; got != rule {
			t.Errorf("rule %v: disclosed: %v", rule, got)
		}
	}
}

// TestBinaryAcrossSerializers wants bytes to arrive as bytes everywhere.
func TestBinaryAcrossSerializers(t *testing.T) {
	r := start(t, nil)
	var listeners []*Raw
	for _, name := range codec.Names() {
		raw := Join(t, r.url, name, "realm1")
		raw.Subscribe("t", "exact")
		listeners = append(listeners, raw)
	}
	sent := wamp.List{[]byte{0, 1, 255}, map[string]any{"deep": []any{[]byte("x")}}}
	for _, name := range codec.Names() {
		publisher := Join(t, r.url, name, "realm1")
		publisher.Send(&wamp.Publish{Request: 1, Topic: "t", Arguments: sent})
		for i, l := range listeners {
			if got := Receive[*wamp.Event](l).Arguments; !reflect.DeepEqual(got, sent) {
				t.Errorf("from %s to %s: %#v", name, codec.Names()[i], got)
			}
		}
	}
}

func TestRealmsAreApart(t *testing.T) {
	r := start(t, func(o *router.Options) { o.Realms = append(o.Realms, realm("realm2")) })
	first, second := Join(t, r.url, "json", "realm1"), Join(t, r.url, "json", "realm2")
	first.Subscribe("t", "exact")
	second.Subscribe("t", "exact")
	for n, name := range []string{"realm1", "realm2"} {
		s, err := r.Join(t.Context(), name, "")
		if err != nil {
			t.Fatal(err)
		}
		err = s.Publish(t.Context(), &wamp.Publish{Options: wamp.Dict{"acknowledge": true}, Topic: "t", Arguments: wamp.List{n}}, func(session.Outcome) {})
		if err != nil {
			t.Fatal(err)
		}
		s.Close(t.Context(), wamp.CloseRealm)
	}
	for n, raw := range []*Raw{first, second} {
		if got := Receive[*wamp.Event](raw).Arguments[0]; got != int64(n) {
			t.Errorf("session %d got %v", n, got)
		}
	}
}

func TestDrain(t *testing.T) {
	r := start(t, nil)
	var sessions []*Raw
	for range 20 {
		sessions = append(sessions, Join(t, r.url, "json", "realm1"))
	}
	silent := Join(t, r.url, "json", "realm1") // never answers GOODBYE
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		r.Drain(ctx)
	}()
	var answering sync.WaitGroup
	for _, raw := range sessions {
		answering.Go(func() {
			if goodbye := Receive[*wamp.Goodbye](raw); goodbye.Reason != wamp.ErrSystemShutdown {
				t.Errorf("reason %s", goodbye.Reason)
			}
			raw.Send(&wamp.Goodbye{Reason: wamp.ErrGoodbyeAndOut})
			if _, last := raw.Ended(); last != nil {
				t.Errorf("%+v followed GOODBYE", last)
			}
		})
	}
	answering.Wait()
	silent.Ended()
	<-drained
}

// TestCloseUnderLoad closes routers while everybody publishes and receives.
func TestCloseUnderLoad(t *testing.T) {
	for range 40 {
		closeUnderLoad(t)
	}
}

func closeUnderLoad(t *testing.T) {
	r := start(t, nil)
	var clients sync.WaitGroup
	for n := range 6 {
		raw := Join(t, r.url, codec.Names()[n%3], "realm1")
		raw.Subscribe("t", []string{"exact", "prefix", "wildcard"}[n%3])
		clients.Go(func() {
			for {
				if _, err := raw.Read(); err != nil {
					return
				}
			}
		})
	}
	own, err := r.Join(t.Context(), "realm1", "")
	if err != nil {
		t.Fatal(err)
	}
	flowing := make(chan struct{})
	clients.Go(func() {
		for n := 0; ; n++ {
			err := own.Publish(context.Background(), &wamp.Publish{
				Options: wamp.Dict{"acknowledge": true}, Topic: "t", Arguments: wamp.List{n},
			}, func(session.Outcome) {})
			if err != nil {
				return
			}
			if n == 50 {
				close(flowing)
			}
		}
	})
	<-flowing
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	r.Close(ctx) // the bridge's own session is still at work: harder than it must be
	clients.Wait()
}

// TestMix has sessions of all serializers with all kinds of subscriptions to one
// topic, and wants every event to arrive once, in order, with the details that
// the subscription is to have.
func TestMix(t *testing.T) {
	const sessions = 50
	publications := 500 // what takes seconds under the race detector
	if given := os.Getenv("WAMP_PUBLICATIONS"); given != "" {
		var err error
		if publications, err = strconv.Atoi(given); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, func(o *router.Options) {
		o.Realms[0].AllowDisclose = true
		o.Realms[0].Policy.Roles["discloses"] = everything(true)
		o.Peer.QueueMessages, o.Peer.QueueBytes = publications+10, 1<<30
		o.Log = slogDiscard()
	})
	var listeners sync.WaitGroup
	for n := range sessions {
		match := []string{"exact", "prefix", "wildcard"}[n/3%3]
		raw := Join(t, r.url, codec.Names()[n%3], "realm1")
		raw.Subscribe(map[string]string{"exact": "com.example.topic", "prefix": "com.ex", "wildcard": "com..topic"}[match], match)
		listeners.Go(func() { checkMix(t, raw, match, publications) })
	}
	plain, err := r.Join(t.Context(), "realm1", "anonymous")
	if err != nil {
		t.Fatal(err)
	}
	discloses, err := r.Join(t.Context(), "realm1", "discloses")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close(context.Background(), wamp.CloseRealm)
	defer discloses.Close(context.Background(), wamp.CloseRealm)
	for n := range publications {
		s := []*session.Session{plain, discloses}[n%2]
		answered := make(chan session.Outcome, 1)
		err := s.Publish(t.Context(), &wamp.Publish{
			Options: wamp.Dict{"acknowledge": true, "disclose_me": n%2 == 1}, Topic: "com.example.topic",
			Arguments: wamp.List{int64(n), "text", map[string]any{"k": []any{1.5, nil}}},
		}, func(o session.Outcome) { answered <- o })
		if err != nil {
			t.Fatal(err)
		}
		if o := <-answered; o.Refused != nil || o.Lost != nil {
			t.Fatalf("publication %d: %+v", n, o)
		}
	}
	listeners.Wait()
}

func checkMix(t *testing.T, raw *Raw, match string, publications int) {
	for n := range publications {
		msg, err := raw.Read()
		if err != nil {
			t.Errorf("event %d of %s: %v", n, match, err)
			return
		}
		event, ok := msg.(*wamp.Event)
		if !ok || len(event.Arguments) != 3 || event.Arguments[0] != int64(n) {
			t.Errorf("event %d of %s is %+v", n, match, msg)
			return
		}
		var want []string
		if match != "exact" {
			want = append(want, "topic")
		}
		if n%2 == 1 {
			want = append(want, "publisher", "publisher_authid", "publisher_authrole")
		}
		var got []string
		for name := range event.Details {
			got = append(got, name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("event %d of %s has details %v", n, match, event.Details)
			return
		}
	}
}

// TestStalledReader has a session that stops reading among some that read: it is
// ended, they lose nothing, and closing does not wait for it.
func TestStalledReader(t *testing.T) {
	r := start(t, func(o *router.Options) { o.Peer.QueueMessages, o.Peer.QueueBytes = 100, 64<<20 })
	stalled := Join(t, r.url, "cbor", "realm1")
	stalled.Subscribe("t", "exact")
	const n = 500
	var reading sync.WaitGroup
	for range 5 {
		raw := Join(t, r.url, "cbor", "realm1")
		raw.Subscribe("t", "exact")
		reading.Go(func() {
			for i := range n {
				if got := Receive[*wamp.Event](raw).Arguments[0]; got != int64(i) {
					t.Errorf("event %d is %v", i, got)
					return
				}
			}
		})
	}
	publisher := Join(t, r.url, "cbor", "realm1")
	filler := strings.Repeat("x", 60_000)
	for i := range n {
		publisher.Send(&wamp.Publish{
			Request: wamp.ID(i + 1), Options: wamp.Dict{"acknowledge": true}, Topic: "t", Arguments: wamp.List{i, filler},
		})
		Receive[*wamp.Published](publisher)
	}
	reading.Wait()
	waitMetric(t, r, "wamp_evictions_total", 1)
}
