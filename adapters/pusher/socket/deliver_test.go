package socket_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// twoApps is a configuration with the apps 3 and 4.
func twoApps(listen string) string {
	return fmt.Sprintf(`{"listen":%q,"apps":[{"id":"3","key":%q,"secret":%q},{"id":4,"key":"other","secret":"other"}]}`, listen, appKey, appSecret)
}

func TestSpaces(t *testing.T) {
	one := open(t, nil, "")
	a := one.connect("a")
	a.subscribed("c")
	if r := one.deliver(core.Event{Space: "realm1", Topic: "c", Data: []byte(`1`), Type: core.TypeJSON}); r.Err != nil || r.Receivers != 1 {
		t.Errorf("the only app: %+v", r)
	}
	a.expect("message", "c", "1")

	listen := freeAddress(t)
	two := openConfig(t, nil, listen, twoApps(listen))
	b := two.connect("b")
	b.subscribed("c")
	other := two.dial("other", "/app/other?"+defaultQuery, nil)
	other.established()
	other.subscribed("c")
	if r := two.deliver(core.Event{Space: "realm1", Topic: "c"}); r.Err == nil || r.Err.Code != core.CodeSpaceUnknown {
		t.Errorf("one of several apps: %+v", r)
	}
	if r := two.deliver(core.Event{Space: "4", Topic: "c", Name: "e"}); r.Err != nil || r.Receivers != 1 {
		t.Errorf("the app of the space: %+v", r)
	}
	other.expect("e", "c", "")
	b.quiet()
	if answer := two.Instance.(core.Answerer).Answer(t.Context(), core.Call{Op: core.OpChannelsList, Space: "realm1"}); !answer.None {
		t.Errorf("a question about another space: %+v", answer)
	}
}

func TestTopicsAndNames(t *testing.T) {
	strict := open(t, nil, "")
	listen := freeAddress(t)
	escaping := openConfig(t, nil, listen, strings.Replace(config(listen, ""), "{", `{"escape":true,`, 1))
	c := escaping.connect("c")
	c.subscribed("com.example_a_b")
	c.subscribed("_x")
	for _, test := range []struct{ topic, name, strict, escaping string }{
		{"com.example/a:b", "e", "invalid_channel", "com.example_a_b"},
		{"#x", "e", "invalid_channel", "_x"},
		{"#server-to-user-x", "e", "invalid_channel", ""},
		{"", "e", "invalid_channel", "invalid_channel"},
		{"zoë", "e", "invalid_channel", ""},
		{strings.Repeat("x", 201), "e", "invalid_channel", "invalid_channel"},
		{"com.example_a_b", "pusher:e", "invalid_name", "invalid_name"},
		{"com.example_a_b", "pusher_internal:member_added", "invalid_name", "invalid_name"},
		{"com.example_a_b", strings.Repeat("ü", 201), "invalid_name", "invalid_name"},
		{"com.example_a_b", strings.Repeat("ü", 200), "", "com.example_a_b"},
		{"com.example_a_b", "", "", "com.example_a_b"},
	} {
		e := core.Event{Space: "3", Topic: test.topic, Name: test.name, Type: core.TypeText, Data: []byte("x")}
		if r := strict.deliver(e); code(r) != test.strict {
			t.Errorf("%.20q %.20q: %+v, want %s", test.topic, test.name, r.Err, test.strict)
		}
		r := escaping.deliver(e)
		if strings.HasPrefix(test.escaping, "invalid_") || test.escaping == "" {
			if code(r) != test.escaping {
				t.Errorf("escaped: %.20q %.20q: %+v, want %s", test.topic, test.name, r.Err, test.escaping)
			}
			continue
		}
		name := test.name
		if name == "" {
			name = "message"
		}
		if r.Receivers != 1 {
			t.Errorf("escaped: %.20q: %+v", test.topic, r)
		}
		c.expect(name, test.escaping, "x")
	}
	if r := strict.deliver(core.Event{Space: "3", Topic: "c", Kind: core.KindHappening}); code(r) != "invalid_kind" {
		t.Errorf("a happening: %+v", r)
	}
}

func code(r core.Receipt) string {
	if r.Err == nil {
		return ""
	}
	return r.Err.Code
}

func TestData(t *testing.T) {
	i := open(t, nil, "")
	c := i.connect("c")
	c.subscribed("c")
	for _, test := range []struct{ mediaType, data, want string }{
		{core.TypeJSON, `{"n":9007199254740993,"b":1,"b":2}`, `{"n":9007199254740993,"b":1,"b":2}`},
		{core.TypeText, "text with \"quotes\" \\ and\nlines", "text with \"quotes\" \\ and\nlines"},
		{core.TypeWAMP, `{"args":[9007199254740993],"kwargs":{}}`, `9007199254740993`},
		{core.TypeWAMP, `{"args":["text"],"kwargs":{}}`, `"text"`},
		{core.TypeWAMP, `{"args":[],"kwargs":{"a":1}}`, `{"a":1}`},
		{core.TypeWAMP, `{"args":[],"kwargs":{}}`, `null`},
		{core.TypeWAMP, `{"args":[1,2],"kwargs":{"a":1}}`, `{"args":[1,2],"kwargs":{"a":1}}`},
		{core.TypeBin, "\x00\xff", base64.StdEncoding.EncodeToString([]byte("\x00\xff"))},
		{core.TypeText, "", ""},
	} {
		if r := i.deliver(core.Event{Space: "3", Topic: "c", Name: "e", Type: test.mediaType, Data: []byte(test.data)}); r.Err != nil {
			t.Errorf("%s %s: %v", test.mediaType, test.data, r.Err)
			continue
		}
		if got := text(c.next()["data"]); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.mediaType, test.data, got, test.want)
		}
	}
	if r := i.deliver(core.Event{Space: "3", Topic: "c", Type: core.TypeText, Data: []byte("\xff")}); code(r) != core.CodePayload {
		t.Errorf("text that is none: %+v", r)
	}
	large := strings.Repeat("x", 3<<20)
	if i.push("c", "e", large) != 1 || text(c.next()["data"]) != large {
		t.Error("a large event did not arrive")
	}
}

func TestAudiences(t *testing.T) {
	i := open(t, nil, "")
	alice, bob, tab, stranger := i.connect("alice"), i.connect("bob"), i.connect("alice's tab"), i.connect("stranger")
	alice.signedIn(`{"id":"alice"}`)
	tab.signedIn(`{"id":"alice"}`)
	bob.signedIn(`{"id":"bob"}`)
	all := []*client{alice, bob, tab, stranger}
	for _, c := range all {
		c.subscribed("c")
	}
	user, sock := core.AudienceUser, core.AudienceSocket
	for n, test := range []struct {
		only, except core.Audience
		direct       bool
		want         []*client
		code         string
	}{
		{want: all},
		{only: core.Audience{user: {"alice", "nobody"}}, want: []*client{alice, tab}},
		{only: core.Audience{sock: {bob.socketID, "1.1"}}, want: []*client{bob}},
		{only: core.Audience{user: {"alice"}, sock: {tab.socketID, bob.socketID}}, want: []*client{tab}},
		{only: core.Audience{user: {}}},
		{only: core.Audience{sock: {}, user: {"alice"}}},
		{only: core.Audience{user: nil}},
		{only: core.Audience{}, want: all},
		{only: core.Audience{"role": {"x"}}, code: core.CodeAudienceUnsupported},
		{only: core.Audience{"session": {}}, code: core.CodeAudienceUnsupported},
		{except: core.Audience{user: {"alice"}}, want: []*client{bob, stranger}},
		{except: core.Audience{sock: {stranger.socketID, stranger.socketID}, user: {"bob"}}, want: []*client{alice, tab}},
		{except: core.Audience{"role": {"x"}}, want: all},
		{only: core.Audience{user: {"alice", "bob", "alice"}}, except: core.Audience{sock: {tab.socketID}}, want: []*client{alice, bob}},
		{direct: true, only: core.Audience{user: {"alice", "alice"}}, want: []*client{alice, tab}},
		{direct: true, only: core.Audience{user: {"alice"}, sock: {tab.socketID}}, want: []*client{tab}},
		{direct: true, only: core.Audience{user: {"alice"}}, except: core.Audience{sock: {tab.socketID}}, want: []*client{alice}},
		{direct: true, only: core.Audience{user: {"nobody"}}},
		{direct: true, only: core.Audience{sock: {tab.socketID}}, code: core.CodeInvalidEvent},
		{direct: true, code: core.CodeInvalidEvent},
	} {
		e := core.Event{Space: "3", Topic: "c", Direct: test.direct, Name: "e", Only: test.only, Except: test.except, Type: core.TypeText, Data: []byte(fmt.Sprint(n))}
		if test.direct {
			e.Topic = ""
		}
		r := i.deliver(e)
		if code(r) != test.code || r.Receivers != len(test.want) {
			t.Errorf("%d: %+v, want %q and %d receivers", n, r, test.code, len(test.want))
		}
		for _, c := range test.want {
			if channel := text(c.next()["channel"]); test.direct != strings.HasPrefix(channel, "#server-to-user-") {
				t.Errorf("%d: channel %s", n, channel)
			}
		}
		for _, c := range all {
			c.quiet()
		}
	}
}

// TestCacheKeepsToTheAudience has events for some not come to others later.
func TestCacheKeepsToTheAudience(t *testing.T) {
	i := open(t, nil, "")
	event := func(data string) core.Event {
		return core.Event{Space: "3", Topic: "cache-c", Name: "e", Type: core.TypeText, Data: []byte(data)}
	}
	public := event("public")
	public.Except = core.Audience{core.AudienceSocket: {"1.1"}}
	some, others, client := event("some"), event("others"), event("client")
	some.Only = core.Audience{core.AudienceUser: {"alice"}}
	others.Except = core.Audience{core.AudienceUser: {"mallory"}}
	client.Kind = core.KindClient
	for _, e := range []core.Event{public, some, others, client} {
		if r := i.deliver(e); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	c := i.connect("c")
	c.subscribed("cache-c")
	c.expect("e", "cache-c", "public")
}

func TestCacheExpires(t *testing.T) {
	i := open(t, nil, `"cache_ttl":"1s"`)
	i.push("cache-c", "e", "x")
	for {
		got := ask[core.Channel](i, core.OpChannelsGet, "cache-c", core.ChannelParams{Cache: true})
		if got.Cached == nil {
			break
		}
	}
	c := i.connect("c")
	c.subscribed("cache-c")
	c.expect("pusher:cache_miss", "cache-c", "{}")
}

func TestAnswers(t *testing.T) {
	i := open(t, nil, "")
	a, b := i.connect("a"), i.connect("b")
	a.joined("presence-r", "u1", "u1")
	b.joined("presence-r", "u1", "u1")
	b.subscribed("c")
	b.signedIn(`{"id":"u9"}`)
	b.send(`{"event":"pusher:subscribe","data":{"channel":"#server-to-user-u9"}}`)
	b.expect("pusher_internal:subscription_succeeded", "#server-to-user-u9", "{}")
	listed := ask[core.Channels](i, core.OpChannelsList, "", core.ChannelsParams{Users: true}).Channels
	if len(listed) != 2 || listed["presence-r"].Subscriptions != 2 || len(listed["presence-r"].Users) != 1 || listed["c"].Subscriptions != 1 {
		t.Errorf("channels %+v", listed)
	}
	listed = ask[core.Channels](i, core.OpChannelsList, "", core.ChannelsParams{Prefix: "pres", Names: []string{"c", "presence-r", "no"}}).Channels
	if len(listed) != 1 || listed["presence-r"].Users != nil {
		t.Errorf("channels %+v", listed)
	}
	if got := ask[core.Channel](i, core.OpChannelsGet, "no", core.ChannelParams{}); got.Subscriptions != 0 {
		t.Errorf("an empty channel: %+v", got)
	}
	if got := ask[core.Members](i, core.OpChannelsMembers, "c", nil); got.Known || len(got.Users) != 0 {
		t.Errorf("members of a public channel: %+v", got)
	}
	if got := ask[core.Disconnected](i, core.OpUserDisconnect, "", core.UserParams{User: "u1"}); got.Connections != 0 {
		t.Errorf("a member is no user: %+v", got)
	}
	if got := ask[core.Disconnected](i, core.OpUserDisconnect, "", core.UserParams{User: "u9"}); got.Connections != 1 {
		t.Errorf("disconnected %+v", got)
	}
	b.expectClose(4009)
	a.quiet()
}

// TestClientEventsEnterTheBus looks at what other sinks get.
func TestClientEventsEnterTheBus(t *testing.T) {
	host := coretest.NewHost(t)
	i := open(t, host, `"happenings":[]`)
	c := i.connect("c")
	c.joined("presence-r", "u1", "u1")
	c.send(`{"event":"client-e","channel":"presence-r","data":{"a": 1}}`)
	c.send(`{"event":"client-f","channel":"presence-r","data":"text","user_id":"forged"}`)
	c.quiet()
	var events []core.Event
	for n := 1; len(events) < 2; n++ {
		events = nil
		for _, p := range host.WaitPublished(t.Context(), n) {
			events = append(events, p.Events...)
		}
	}
	for n, want := range []struct{ name, data, mediaType string }{{"client-e", `{"a":1}`, core.TypeJSON}, {"client-f", "text", core.TypeText}} {
		e := events[n]
		if e.Kind != core.KindClient || e.Space != "3" || e.Topic != "presence-r" || e.Name != want.name || string(e.Data) != want.data || e.Type != want.mediaType {
			t.Errorf("%+v", e)
		}
		if sockets := e.Except[core.AudienceSocket]; len(sockets) != 1 || sockets[0] != c.socketID || e.Only != nil {
			t.Errorf("audience %+v %+v", e.Only, e.Except)
		}
		if e.Meta["pusher.socket_id"] != c.socketID || e.Meta["pusher.user_id"] != "u1" || len(e.Meta) != 2 {
			t.Errorf("meta %v", e.Meta)
		}
	}
	if len(events) != 2 {
		t.Errorf("%d events: happenings that nobody wants?", len(events))
	}
}

// TestHappenings follows the life of channels and members on the bus.
func TestHappenings(t *testing.T) {
	host := coretest.NewHost(t)
	i := open(t, host, `"leave_delay":"0","subscription_count":true`)
	a, b := i.connect("a"), i.connect("b")
	a.joined("presence-cache-r", "u1", "u1")
	a.expect("pusher:cache_miss", "presence-cache-r", "{}")
	b.joined("presence-cache-r", "u1", "u1")
	b.expect("pusher:cache_miss", "presence-cache-r", "{}")
	a.unsubscribe("presence-cache-r")
	a.quiet()
	b.close()
	a.signedIn(`{"id":"u9"}`)
	a.send(`{"event":"pusher:subscribe","data":{"channel":"#server-to-user-u9"}}`)
	a.expect("pusher_internal:subscription_succeeded", "#server-to-user-u9", "{}")
	want := []string{
		"channel_occupied presence-cache-r {}", `member_added presence-cache-r {"user_id":"u1"}`, "cache_miss presence-cache-r {}",
		`member_removed presence-cache-r {"user_id":"u1"}`, "channel_vacated presence-cache-r {}",
		"channel_occupied c {}", `subscription_count c {"subscription_count":1}`,
	}
	var got []string
	for n := 1; len(got) < len(want); n++ {
		if len(got) == 5 {
			a.subscribed("c")
			a.expect("pusher_internal:subscription_count", "c", `{"subscription_count":1}`)
		}
		got = nil
		for _, p := range host.WaitPublished(t.Context(), n) {
			for _, e := range p.Events {
				got = append(got, e.Name+" "+e.Topic+" "+string(e.Data))
				if e.Kind != core.KindHappening || e.Space != "3" || e.Type != core.TypeJSON || e.Only != nil || e.Except != nil {
					t.Errorf("%+v", e)
				}
			}
		}
	}
	for n := range want {
		if got[n] != want[n] {
			t.Errorf("told\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			break
		}
	}
}
