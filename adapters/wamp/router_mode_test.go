package wamp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/core"
)

func text(topic string) core.Event {
	return core.Event{Topic: topic, Type: core.TypeText, Data: []byte("text")}
}

// TestPublicationID wants the receipt to have the id that subscribers see.
func TestPublicationID(t *testing.T) {
	i := open(t, routerConfig(""))
	raw := Join(t, i.url, "json", "realm1")
	raw.Subscribe("a.b", "exact")
	id := i.accepted(text("a.b"))
	if event := Receive[*nexus.Event](raw); strconv.FormatUint(uint64(event.Publication), 10) != id {
		t.Errorf("receipt %s, event %d", id, event.Publication)
	}
}

// TestProjection is the part of the any-to-any table that ends here.
func TestProjection(t *testing.T) {
	i := open(t, routerConfig(""))
	i.accepted(text("first")) // opens the bridge's session, whose joining would be heard
	raw := Join(t, i.url, "cbor", "realm1")
	raw.Subscribe("", "prefix")
	tests := []struct {
		name   string
		event  core.Event
		topic  string
		args   nexus.List
		kwargs nexus.Dict
	}{
		{"WAMP data", core.Event{Topic: "a.b", Type: core.TypeWAMP, Data: []byte(`{"args":[1,"x"],"kwargs":{"k":null}}`)},
			"a.b", nexus.List{int64(1), "x"}, nexus.Dict{"k": nil}},
		{"WAMP data, empty", core.Event{Topic: "a.b", Type: core.TypeWAMP, Data: []byte(`{"args":[],"kwargs":{}}`)}, "a.b", nil, nil},
		{"WAMP data, keywords only", core.Event{Topic: "a.b", Type: core.TypeWAMP, Data: []byte(`{"args":[],"kwargs":{"k":1}}`)},
			"a.b", nexus.List{}, nexus.Dict{"k": int64(1)}},
		{"WAMP data with a name", core.Event{Topic: "a.b", Name: "c", Type: core.TypeWAMP, Data: []byte(`{"args":[],"kwargs":{}}`)}, "a.b.c", nil, nil},
		{"JSON", core.Event{Topic: "orders", Name: "created", Type: core.TypeJSON, Data: []byte(`{"id":9007199254740993}`)},
			"orders.created", nexus.List{map[string]any{"id": int64(9007199254740993)}}, nil},
		{"text", core.Event{Topic: "room #1", Name: "new message", Type: core.TypeText, Data: []byte("ü")}, "room__1.new_message", nexus.List{"ü"}, nil},
		{"bytes", core.Event{Topic: "a", Type: "image/png", Data: []byte{0, 255}}, "a", nexus.List{[]byte{0, 255}}, nil},
		{"empty components", core.Event{Topic: ".a..b.", Type: core.TypeText, Data: []byte("x")}, "_.a._.b._", nexus.List{"x"}, nil},
		{"no topic", core.Event{Name: "event", Type: core.TypeText, Data: []byte("x")}, "_.event", nexus.List{"x"}, nil},
		{"a hub's topic", core.Event{Topic: "https://example.com/feed", Type: core.TypeText, Data: []byte("x")}, "https://example.com/feed", nexus.List{"x"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i.accepted(tt.event)
			event := Receive[*nexus.Event](raw)
			if event.Details["topic"] != tt.topic {
				t.Errorf("topic %v, want %s", event.Details["topic"], tt.topic)
			}
			if len(event.Arguments)+len(tt.args) > 0 && !reflect.DeepEqual(event.Arguments, tt.args) {
				t.Errorf("args %#v, want %#v", event.Arguments, tt.args)
			}
			if len(event.ArgumentsKw)+len(tt.kwargs) > 0 && !reflect.DeepEqual(event.ArgumentsKw, tt.kwargs) {
				t.Errorf("kwargs %#v, want %#v", event.ArgumentsKw, tt.kwargs)
			}
		})
	}
}

// TestNumbers sends numbers through to subscribers of all serializers.
func TestNumbers(t *testing.T) {
	i := open(t, routerConfig(""))
	var listeners []*Raw
	for _, name := range codec.Names() {
		raw := Join(t, i.url, name, "realm1")
		raw.Subscribe("n", "exact")
		listeners = append(listeners, raw)
	}
	for sent, want := range map[string]any{
		"0": int64(0), "-1": int64(-1), "9223372036854775807": int64(math.MaxInt64), "-9223372036854775808": int64(math.MinInt64),
		"18446744073709551615": uint64(math.MaxUint64), "18446744073709551616": 18446744073709551616.0,
		"1.0": 1.0, "1e2": 100.0, "0.1": 0.1, "-1.5e300": -1.5e300, "1E-7": 1e-7,
		`"\u0000AP8="`: []byte{0, 255}, `"<&>"`: "<&>", "null": nil, `[[],{}]`: []any{[]any{}, map[string]any{}},
	} {
		i.accepted(core.Event{Topic: "n", Type: core.TypeJSON, Data: []byte(sent)})
		for n, raw := range listeners {
			if got := Receive[*nexus.Event](raw).Arguments[0]; !reflect.DeepEqual(got, want) {
				t.Errorf("%s to %s: %#v", sent, codec.Names()[n], got)
			}
		}
	}
	receipt := i.deliver(core.Event{Topic: "n", Type: core.TypeJSON, Data: []byte("1e400")})[0]
	if receipt.Err == nil || receipt.Err.Code != core.CodePayload {
		t.Errorf("1e400: %+v", receipt)
	}
}

func TestRefusals(t *testing.T) {
	i := open(t, `{"mode": "router", "listen": "LISTEN", "max_uri_length": 20, "realms": [{"name": "realm1", "roles": [
		{"name": "anonymous", "permissions": [{"uri": "*", "allow": {"subscribe": true}}]},
		{"name": "writer", "permissions": [{"uri": "open.*", "publish": true}]}]}]}`)
	as := func(role string, event core.Event) core.Event {
		event.Meta = map[string]string{"wamp.role": role}
		return event
	}
	only := func(kind string, entries ...string) core.Event {
		event := text("open.a")
		event.Only = core.Audience{kind: entries}
		return event
	}
	tests := []struct {
		name  string
		event core.Event
		code  string
	}{
		{"the bridge itself", text("anywhere"), ""},
		{"a role where it may", as("writer", text("open.a")), ""},
		{"a role where it may not", as("writer", text("closed")), "wamp.error.not_authorized"},
		{"a role that may nothing", as("anonymous", text("open.a")), "wamp.error.not_authorized"},
		{"a role that is not defined", as("stranger", text("open.a")), "wamp.error.not_authorized"},
		{"reserved", text("wamp.session.on_join"), "wamp.error.invalid_uri"},
		{"reserved for the bridge", text("bridge.x"), "wamp.error.invalid_uri"},
		{"reserved by its name", core.Event{Topic: "wamp", Name: "x", Type: core.TypeText, Data: []byte("x")}, "wamp.error.invalid_uri"},
		{"not reserved", text("wampx.a"), ""},
		{"too long", text("a123456789012345678901"), "wamp.error.invalid_uri"},
		{"WAMP data at an invalid topic", core.Event{Topic: "a..b", Type: core.TypeWAMP, Data: []byte(`{"args":[]}`)}, "wamp.error.invalid_uri"},
		{"sockets", only("socket", "1.1"), core.CodeAudienceUnsupported},
		{"sockets, nobody", only("socket"), core.CodeAudienceUnsupported},
		{"an unknown kind", only("group", "x"), core.CodeAudienceUnsupported},
		{"broken JSON", core.Event{Topic: "open.a", Type: core.TypeJSON, Data: []byte(`{`)}, core.CodePayload},
		{"another space", core.Event{Space: "app-id", Topic: "open.a", Type: core.TypeText, Data: []byte("x")}, ""},
		{"direct to nobody in particular", core.Event{Direct: true, Type: core.TypeText, Data: []byte("x")}, core.CodeNoTopic},
	}
	for _, tt := range tests {
		receipt := i.deliver(tt.event)[0]
		code := ""
		if receipt.Err != nil {
			code = receipt.Err.Code
		}
		if code != tt.code {
			t.Errorf("%s: receipt %+v (%v)", tt.name, receipt, receipt.Err)
		}
		if (code == "wamp.error.invalid_uri" || code == "wamp.error.not_authorized") && !json.Valid(receipt.Detail) {
			t.Errorf("%s: detail %s", tt.name, receipt.Detail)
		}
		if receipt.Err != nil && (receipt.ID != "" || receipt.Err.Retryable || receipt.Err.Outcome != core.OutcomeNotDone) {
			t.Errorf("%s: receipt %+v", tt.name, receipt)
		}
	}
}

// TestAudience publishes with audiences and looks at who receives.
func TestAudience(t *testing.T) {
	i := open(t, `{"mode": "router", "listen": "LISTEN", "realms": [{"name": "realm1", "auth": {"ticket": {"principals": {
		"alice": {"ticket": "a", "role": "admin"}, "bob": {"ticket": "b", "role": "user"}}}},
		"roles": [{"name": "admin", "permissions": [{"uri": "*", "subscribe": true}]},
		          {"name": "user", "permissions": [{"uri": "*", "subscribe": true}]}]}]}`)
	type listener struct {
		raw *Raw
		id  string
	}
	login := func(who string) listener {
		raw := Dial(t, i.url, "json", nil)
		raw.Send(Hello("realm1", nexus.Dict{"authmethods": nexus.List{"ticket"}, "authid": who}))
		Receive[*nexus.Challenge](raw)
		raw.Send(&nexus.Authenticate{Signature: who[:1]})
		id := raw.Welcome().ID
		raw.Subscribe("t", "prefix")
		raw.Subscribe("end", "prefix")
		raw.Subscribe("user.", "prefix")
		return listener{raw, strconv.FormatUint(uint64(id), 10)}
	}
	alice, bob := login("alice"), login("bob")
	tests := []struct {
		name         string
		only, except core.Audience
		want         [2]bool
	}{
		{"all", nil, nil, [2]bool{true, true}},
		{"empty audience", core.Audience{}, nil, [2]bool{true, true}},
		{"only user", core.Audience{"user": {"alice"}}, nil, [2]bool{true, false}},
		{"only role", core.Audience{"role": {"user", "x"}}, nil, [2]bool{false, true}},
		{"only session", core.Audience{"session": {alice.id, "junk", "0", "-1", "9007199254740993"}}, nil, [2]bool{true, false}},
		{"only user and role", core.Audience{"user": {"alice", "bob"}, "role": {"user"}}, nil, [2]bool{false, true}},
		{"only nobody", core.Audience{"user": {}}, nil, [2]bool{}},
		{"only sessions that cannot be", core.Audience{"session": {"junk", "0"}}, nil, [2]bool{}},
		{"only unknown", core.Audience{"user": {"carol"}}, nil, [2]bool{}},
		{"except user", nil, core.Audience{"user": {"alice"}}, [2]bool{false, true}},
		{"except role", nil, core.Audience{"role": {"user"}}, [2]bool{true, false}},
		{"except session", nil, core.Audience{"session": {bob.id}}, [2]bool{true, false}},
		{"except socket", nil, core.Audience{"socket": {"1.1"}}, [2]bool{true, true}},
		{"except nobody", nil, core.Audience{"user": {}, "session": {"junk"}}, [2]bool{true, true}},
		{"except beats only", core.Audience{"user": {"alice", "bob"}}, core.Audience{"role": {"admin"}}, [2]bool{false, true}},
	}
	for _, tt := range tests {
		event := core.Event{Topic: "t", Type: core.TypeText, Data: []byte(tt.name), Only: tt.only, Except: tt.except}
		i.accepted(event)
		i.accepted(core.Event{Topic: "t", Type: core.TypeText, Data: []byte("end")})
		for n, l := range []listener{alice, bob} {
			got := Receive[*nexus.Event](l.raw).Arguments[0] == tt.name
			if got != tt.want[n] {
				t.Errorf("%s: listener %d received: %v", tt.name, n, got)
			}
			if got {
				Receive[*nexus.Event](l.raw)
			}
		}
	}
	// Directly to users: each on a topic of its own.
	i.accepted(core.Event{Direct: true, Type: core.TypeText, Data: []byte("hi"), Only: core.Audience{"user": {"bob", "alice", "bob", "carol"}}})
	i.accepted(text("end"))
	for name, l := range map[string]listener{"alice": alice, "bob": bob} {
		if got := Receive[*nexus.Event](l.raw).Details["topic"]; got != "user."+name {
			t.Errorf("%s got %v", name, got)
		}
		if got := Receive[*nexus.Event](l.raw).Details["topic"]; got != "end" {
			t.Errorf("%s got %v too", name, got)
		}
	}
}

func TestSeveralRealms(t *testing.T) {
	roles := `"roles": [{"name": "anonymous", "permissions": [{"uri": "*", "subscribe": true}]}]`
	i := open(t, `{"mode": "router", "listen": "LISTEN", "realms": [{"name": "one", `+roles+`}, {"name": "two", `+roles+`}]}`)
	for _, space := range []string{"", "three"} {
		receipt := i.deliver(core.Event{Space: space, Topic: "t", Type: core.TypeText, Data: []byte("x")})[0]
		if receipt.Err == nil || receipt.Err.Code != core.CodeSpaceUnknown {
			t.Errorf("space %q: %+v", space, receipt)
		}
	}
	raw := Join(t, i.url, "json", "two")
	raw.Subscribe("t", "exact")
	for _, space := range []string{"one", "two"} {
		i.accepted(core.Event{Space: space, Topic: "t", Type: core.TypeText, Data: []byte(space)})
	}
	if got := Receive[*nexus.Event](raw).Arguments[0]; got != "two" {
		t.Errorf("realm two got %v", got)
	}
	if answer := i.authorize("three", "t", "anonymous"); !answer.None {
		t.Errorf("authorize for another's realm: %+v", answer)
	}
}

func TestAuthorize(t *testing.T) {
	i := open(t, `{"mode": "router", "listen": "LISTEN", "realms": [{"name": "realm1", "roles": [
		{"name": "writer", "permissions": [{"uri": "open.*", "publish": true}, {"uri": "*", "allow": {"publish": true}}, {"uri": "closed"}]}]}]}`)
	tests := []struct{ topic, role, want string }{
		{"open.a", "writer", ""},
		{"other", "writer", ""},
		{"closed", "writer", "wamp.error.not_authorized"},
		{"open.a", "stranger", "wamp.error.not_authorized"},
		{"open.a", "", "wamp.error.not_authorized"},
		{"wamp.x", "writer", "wamp.error.invalid_uri"},
		{"bridge.x", "stranger", "wamp.error.invalid_uri"},
		{"a..b", "writer", "wamp.error.invalid_uri"},
		{"a b", "writer", "wamp.error.invalid_uri"},
	}
	for _, tt := range tests {
		answer := i.authorize("realm1", tt.topic, tt.role)
		var got core.Authorization
		if err := answer.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Error != tt.want || got.Allowed != (tt.want == "") {
			t.Errorf("%s by %q: %+v", tt.topic, tt.role, got)
		}
	}
	if answer := i.Instance.(core.Answerer).Answer(t.Context(), core.Call{Op: core.OpPublishAuthorize, Space: "realm1", Params: []byte("{")}); answer.Err == nil {
		t.Errorf("broken parameters: %+v", answer)
	}
	i.stop()
	if answer := i.authorize("realm1", "open.a", "writer"); answer.Err == nil || !answer.Err.Retryable {
		t.Errorf("after stop: %+v", answer)
	}
}

// TestSource wants what clients publish to reach the bus, and nothing that the
// bridge publishes itself.
func TestSource(t *testing.T) {
	i := open(t, routerConfig(`, "subscribe": [{"topic": "exact.topic"}, {"realm": "realm1", "topic": "pre.", "match": "prefix"}, {"topic": "wild..card", "match": "wildcard"}]`))
	i.accepted(text("exact.topic")) // an echo would come first
	i.accepted(text("pre.fix"))
	raw := Join(t, i.url, "msgpack", "realm1")
	for n, topic := range []nexus.URI{"exact.topic", "exact.topic.no", "pre.fix", "wild.x.card", "wild.x.y"} {
		raw.Send(&nexus.Publish{
			Request: nexus.ID(n + 1), Options: nexus.Dict{"acknowledge": true}, Topic: topic,
			Arguments: nexus.List{int64(n), []byte{1}}, ArgumentsKw: nexus.Dict{"k": "<&>"},
		})
		Receive[*nexus.Published](raw)
	}
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	published := i.host.WaitPublished(ctx, 3)
	for n, want := range []struct {
		topic string
		n     int
	}{{"exact.topic", 0}, {"pre.fix", 2}, {"wild.x.card", 3}} {
		event := published[n].Events[0]
		data := fmt.Sprintf(`{"args":[%d,"\u0000AQ=="],"kwargs":{"k":"<&>"}}`, want.n)
		if event.Topic != want.topic || event.Space != "realm1" || event.Kind != core.KindMessage || event.Type != core.TypeWAMP || string(event.Data) != data {
			t.Errorf("event %d: %+v, data %s", n, event, event.Data)
		}
	}
}

func TestHappenings(t *testing.T) {
	i := open(t, routerConfig(`, "happenings": true, "subscribe": [{"topic": "a"}]`))
	first, second := Join(t, i.url, "json", "realm1"), Join(t, i.url, "json", "realm1")
	a := first.Subscribe("a", "exact") // the bridge listens there too, which does not count
	second.Subscribe("a", "exact")
	first.Subscribe("a", "prefix")
	first.Subscribe("wamp.session.on_join", "exact")
	second.Subscribe("b", "exact")
	first.Send(&nexus.Unsubscribe{Request: 1, Subscription: a})
	Receive[*nexus.Unsubscribed](first)
	second.Close() // leaves a and b
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	published := i.host.WaitPublished(ctx, 4)
	got := make(map[string]int)
	for n, p := range published {
		event := p.Events[0]
		if event.Kind != core.KindHappening || event.Space != "realm1" {
			t.Errorf("event %+v", event)
		}
		got[event.Name+" "+event.Topic] = n
	}
	for _, topic := range []string{"a", "b"} {
		occupied, was := got["channel_occupied "+topic]
		vacated, is := got["channel_vacated "+topic]
		if !was || !is || vacated < occupied {
			t.Errorf("happenings %v", got)
		}
	}
	if len(published) != 4 {
		t.Errorf("happenings %v", got)
	}
}

func TestReconfigure(t *testing.T) {
	config := func(listen, publishable, ticket, more string) json.RawMessage {
		return json.RawMessage(`{"mode": "router", "listen": "` + listen + `"` + more + `, "realms": [{"name": "realm1",
			"auth": {"ticket": {"principals": {"joe": {"ticket": "` + ticket + `", "role": "user"}}}},
			"roles": [{"name": "user", "permissions": [{"uri": "` + publishable + `", "publish": true}]}]}]}`)
	}
	listen := freeAddress(t)
	i := openOn(t, listen, string(config(listen, "a", "old", "")))
	login := func(ticket string) (*Raw, nexus.Message) {
		raw := Dial(t, i.url, "json", nil)
		raw.Send(Hello("realm1", nexus.Dict{"authmethods": nexus.List{"ticket"}, "authid": "joe"}))
		Receive[*nexus.Challenge](raw)
		raw.Send(&nexus.Authenticate{Signature: ticket})
		msg, err := raw.Read()
		if err != nil {
			t.Fatal(err)
		}
		return raw, msg
	}
	raw, msg := login("old")
	if _, ok := msg.(*nexus.Welcome); !ok {
		t.Fatalf("got %+v", msg)
	}
	publishes := func(topic nexus.URI) bool {
		raw.Send(&nexus.Publish{Request: 1, Options: nexus.Dict{"acknowledge": true}, Topic: topic})
		msg, err := raw.Read()
		if err != nil {
			t.Fatal(err)
		}
		_, published := msg.(*nexus.Published)
		return published
	}
	if !publishes("a") || publishes("b") {
		t.Error("the first configuration does not hold")
	}
	reconfigure := i.Instance.(core.Reconfigurer).Reconfigure
	if err := reconfigure(t.Context(), config(listen, "b", "new", "")); err != nil {
		t.Fatal(err)
	}
	if publishes("a") || !publishes("b") {
		t.Error("the second configuration does not hold for a session that there was")
	}
	if _, msg := login("old"); reflect.TypeOf(msg) != reflect.TypeFor[*nexus.Abort]() {
		t.Errorf("the old ticket gives %+v", msg)
	}
	if _, msg := login("new"); reflect.TypeOf(msg) != reflect.TypeFor[*nexus.Welcome]() {
		t.Errorf("the new ticket gives %+v", msg)
	}
	for _, structural := range []string{`, "serializers": ["json"]`, `, "paths": ["/other"]`, `, "happenings": true`, `, "auth": {"anonymous": {}}`} {
		if err := reconfigure(t.Context(), config(listen, "b", "new", structural)); !errors.Is(err, core.ErrRestart) {
			t.Errorf("%s: %v", structural, err)
		}
	}
	if err := reconfigure(t.Context(), config(listen, "a.long.topic", "new", `, "max_uri_length": 5, "max_sessions": 1, "allowed_origins": ["*"], "publish_rate": 5000,
		"queue_messages": 100, "slow_consumer": "drop", "ping_interval": "7s", "max_message_size": "64KiB", "trusted_proxies": ["127.0.0.1"]`)); err != nil {
		t.Fatal(err)
	}
	if publishes("a.long.topic") {
		t.Error("a limit does not count for a session that there was")
	}
	if _, response, err := websocket.Dial(t.Context(), i.url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.json"}}); err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("max_sessions does not count: %v", err)
	}
	if err := reconfigure(t.Context(), config(listen, "b", "new", "")); err != nil {
		t.Fatal(err)
	}
	if err := reconfigure(t.Context(), json.RawMessage(`{"mode": "router"}`)); err == nil || errors.Is(err, core.ErrRestart) {
		t.Errorf("a wrong configuration: %v", err)
	}
	if !publishes("b") {
		t.Error("what was refused has changed something")
	}
}

// TestDrain wants sessions to be sent away while publications and answers go on.
func TestDrain(t *testing.T) {
	i := open(t, routerConfig(""))
	raw := Join(t, i.url, "json", "realm1")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- i.Instance.(core.Drainer).Drain(ctx) }()
	if goodbye := Receive[*nexus.Goodbye](raw); goodbye.Reason != nexus.ErrSystemShutdown {
		t.Errorf("reason %s", goodbye.Reason)
	}
	i.accepted(text("t"))
	if answer := i.authorize("realm1", "t", "anonymous"); answer.Err != nil {
		t.Errorf("answer while draining: %+v", answer)
	}
	raw.Send(&nexus.Goodbye{Reason: nexus.ErrGoodbyeAndOut})
	raw.Ended()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if response, err := http.Get("http" + i.url[2:]); err == nil {
		response.Body.Close()
		t.Errorf("it still listens: %s", response.Status)
	}
	i.accepted(text("t"))
	i.stop()
	if err := i.Instance.(core.Sink).Deliver(t.Context(), core.NewBatch([]core.Event{text("t")}, func(int, int, core.Receipt) {})); err == nil {
		t.Error("a stopped instance takes events")
	}
}

// TestOrder wants many events to arrive in order, whatever the window.
func TestOrder(t *testing.T) {
	i := open(t, routerConfig(`, "queue_messages": 100000`))
	raw := Join(t, i.url, "json", "realm1")
	raw.Subscribe("t", "exact")
	const n = 5000
	events := make([]core.Event, n)
	for k := range events {
		events[k] = core.Event{Topic: "t", Type: core.TypeJSON, Data: []byte(strconv.Itoa(k))}
	}
	for _, receipt := range i.deliver(events...) {
		if receipt.Err != nil {
			t.Fatal(receipt.Err)
		}
	}
	for k := range n {
		if got := Receive[*nexus.Event](raw).Arguments[0]; got != int64(k) {
			t.Fatalf("event %d is %v", k, got)
		}
	}
}

// TestDisclosedRole wants the bridge to disclose a role where its rule says so.
func TestDisclosedRole(t *testing.T) {
	i := open(t, `{"mode": "router", "listen": "LISTEN", "realms": [{"name": "realm1", "allow_disclose": true, "roles": [
		{"name": "anonymous", "permissions": [{"uri": "*", "subscribe": true}]},
		{"name": "writer", "permissions": [{"uri": "told", "publish": true, "disclose": {"publisher": true}}, {"uri": "untold", "publish": true}]}]}]}`)
	raw := Join(t, i.url, "json", "realm1")
	raw.Subscribe("told", "exact")
	raw.Subscribe("untold", "exact")
	for topic, want := range map[string]bool{"told": true, "untold": false} {
		event := text(topic)
		event.Meta = map[string]string{"wamp.role": "writer"}
		i.accepted(event)
		details := Receive[*nexus.Event](raw).Details
		if disclosed := details["publisher_authrole"] == "writer"; disclosed != want {
			t.Errorf("%s: %v", topic, details)
		}
		i.accepted(text(topic)) // by the bridge itself
		if details := Receive[*nexus.Event](raw).Details; len(details) != 0 {
			t.Errorf("%s by the bridge: %v", topic, details)
		}
	}
}

func TestDescribe(t *testing.T) {
	info := wamp.Adapter{}.Describe()
	if !info.Source || !info.Sink || !info.IssuesIDs || info.Scope != core.ScopeEveryNode || len(info.Calls) != 6 {
		info.Config = nil
		t.Errorf("%+v", info)
	}
}
