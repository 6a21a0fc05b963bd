package rest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// listeners answers calls as sinks do that have listeners: two of them, each with
// its share of the same channels.
type listeners struct {
	space string
	sinks []map[string]core.Channel

	mu           sync.Mutex
	calls        []core.Call
	disconnected []string
	fail         *core.Refusal
}

// someListeners has one presence channel at both sinks, a public and a cache
// channel, and one of another protocol.
func someListeners() *listeners {
	return &listeners{space: testApp, sinks: []map[string]core.Channel{
		{
			"presence-room": {Subscriptions: 3, Users: []string{"u1", "u2"}},
			"public":        {Subscriptions: 1},
			"cache-c":       {Subscriptions: 1, Cached: &core.CachedEvent{Name: "e", Data: `{"a":"ü<>"}`, Expires: time.Unix(1700000060, 500_000_000)}},
		},
		{
			"presence-room":         {Subscriptions: 1, Users: []string{"u2"}},
			`com.myapp."topic"`:     {Subscriptions: 2},
			"#server-to-user-u1":    {Subscriptions: 1},
			"presence-empty":        {},
			"presence-cache-stale":  {Subscriptions: 1, Cached: &core.CachedEvent{Data: "x", Expires: time.Unix(1699999999, 0)}},
			"private-encrypted-one": {Subscriptions: 1},
		},
	}}
}

func (l *listeners) prepare(host *coretest.Host) {
	host.OnCall = func(_ context.Context, call core.Call) ([]core.Answer, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.calls = append(l.calls, call)
		if l.fail != nil {
			return nil, l.fail
		}
		if call.Space != l.space {
			return nil, nil
		}
		var answers []core.Answer
		for _, sink := range l.sinks {
			answers = append(answers, l.answer(sink, call))
		}
		return answers, nil
	}
}

func (l *listeners) answer(sink map[string]core.Channel, call core.Call) core.Answer {
	switch call.Op {
	case core.OpChannelsList:
		var params core.ChannelsParams
		if err := call.Decode(&params); err != nil {
			return core.Answer{Err: core.AsRefusal(err)}
		}
		list := maps.Clone(sink)
		maps.DeleteFunc(list, func(name string, c core.Channel) bool {
			return c.Subscriptions == 0 || !strings.HasPrefix(name, params.Prefix) || params.Names != nil && !slices.Contains(params.Names, name)
		})
		for name, c := range list {
			if c.Cached = nil; !params.Users {
				c.Users = nil
			}
			list[name] = c
		}
		return core.NewAnswer(core.Channels{Channels: list})
	case core.OpChannelsGet:
		var params core.ChannelParams
		if err := call.Decode(&params); err != nil {
			return core.Answer{Err: core.AsRefusal(err)}
		}
		c := sink[call.Topic]
		if !params.Users {
			c.Users = nil
		}
		if !params.Cache {
			c.Cached = nil
		}
		return core.NewAnswer(c)
	case core.OpChannelsMembers:
		return core.NewAnswer(core.Members{Known: true, Users: sink[call.Topic].Users})
	case core.OpUserDisconnect:
		var params core.UserParams
		if err := call.Decode(&params); err != nil {
			return core.Answer{Err: core.AsRefusal(err)}
		}
		l.disconnected = append(l.disconnected, params.User)
		return core.NewAnswer(core.Disconnected{Connections: 1})
	}
	return core.Answer{None: true}
}

func TestGetChannels(t *testing.T) {
	l := someListeners()
	r := start(t, l.prepare, settingsOf(t, ""))
	list := func(query string) answer { return r.get("/apps/3/channels", query) }
	list("").is(200).says(`{"channels":{"cache-c":{},"com.myapp.\"topic\"":{},"presence-cache-stale":{},"presence-room":{},"private-encrypted-one":{},"public":{}}}`)
	list("filter_by_prefix=p").is(200).says(`{"channels":{"presence-cache-stale":{},"presence-room":{},"private-encrypted-one":{},"public":{}}}`)
	list("filter_by_prefix=presence-r&info=user_count").is(200).says(`{"channels":{"presence-room":{"user_count":2}}}`)
	list("filter_by_prefix=pu&info=subscription_count").is(200).says(`{"channels":{"public":{"subscription_count":1}}}`)
	list("filter_by_prefix=presence-room&info=user_count,subscription_count").is(200).says(`{"channels":{"presence-room":{"user_count":2,"subscription_count":4}}}`)
	list("filter_by_prefix=nothing").is(200).says(`{"channels":{}}`)
	for _, query := range []string{"info=user_count", "info=user_count&filter_by_prefix=presence", "info=cache", "info=nonsense", "info=,", "info=connection_count"} {
		list(query).is(400).contains("info")
	}
	r.send(request{method: "GET", path: "/apps/4/channels", key: "other-key"}).is(200).says(`{"channels":{}}`)
}

func TestGetChannel(t *testing.T) {
	r := start(t, someListeners().prepare, settingsOf(t, ""))
	channel := func(name, query string) answer { return r.get("/apps/3/channels/"+name, query) }
	channel("public", "").is(200).says(`{"occupied":true}`)
	channel("nobody", "").is(200).says(`{"occupied":false}`)
	channel("nobody", "info=subscription_count").is(200).says(`{"occupied":false,"subscription_count":0}`)
	channel("presence-room", "info=user_count,subscription_count").is(200).says(`{"occupied":true,"user_count":2,"subscription_count":4}`)
	channel("presence-empty", "info=user_count").is(200).says(`{"occupied":false,"user_count":0}`)
	channel("cache-c", "info=cache").is(200).says(`{"occupied":true,"cache":{"data":"{\"a\":\"ü\u003c\u003e\"}","ttl":60}}`)
	channel("cache-c", "info=cache,subscription_count").is(200).says(`{"occupied":true,"cache":{"data":"{\"a\":\"ü\u003c\u003e\"}","ttl":60},"subscription_count":1}`)
	channel("cache-other", "info=cache").is(200).says(`{"occupied":false,"cache":null}`)
	channel("presence-cache-stale", "info=cache").is(200).says(`{"occupied":true,"cache":null}`)
	channel("public", "info=cache").is(400).contains("cache")
	channel("public", "info=user_count").is(400).contains("user_count")
	channel("public", "info=other").is(400)
	channel("public", "info=connection_count").is(400)
	for _, name := range []string{"a b", "a:b", "ü", "#server-to-user-u1", "#other", strings.Repeat("x", 201)} {
		channel(name, "").is(400).contains("channel")
	}

	stats := func(name, query string) answer { return r.get("/apps/3/channels/"+name+"/stats", query) }
	stats("public", "").is(200).says(`{"occupied":true}`)
	stats("presence-room", "info=user_count,connection_count").is(200).says(`{"occupied":true,"user_count":2,"connection_count":4}`)
	stats("public", "info=subscription_count").is(400)
}

func TestGetUsers(t *testing.T) {
	r := start(t, someListeners().prepare, settingsOf(t, `{"strict_query":true}`))
	r.get("/apps/3/channels/presence-room/users", "").is(200).says(`{"users":[{"id":"u1"},{"id":"u2"}]}`)
	r.get("/apps/3/channels/presence-empty/users", "").is(200).says(`{"users":[]}`)
	r.get("/apps/3/channels/public/users", "").is(400).contains("presence")
	r.get("/apps/3/channels/presence-a b/users", "").is(400).contains("' '")
	r.get("/apps/3/channels/presence-room/users", "info=user_count").is(400).says("The following query string parameters are extraneous: info\n")
	r.get("/apps/3/channels", "info=subscription_count&filter_by_prefix=x&other=1&more").is(400).says("The following query string parameters are extraneous: more, other\n")
	lenient := start(t, someListeners().prepare, settingsOf(t, ""))
	lenient.get("/apps/3/channels/presence-room/users", "info=user_count&more=1").is(200)
}

func TestTerminate(t *testing.T) {
	l := someListeners()
	r := start(t, l.prepare, settingsOf(t, ""))
	for _, path := range []string{"/apps/3/users/u1/terminate_connections", "/users/u 2/terminate_connections", "/apps/3/users/ü/%\"/terminate_connections"} {
		r.post(path, "{}").is(200).says("{}")
	}
	r.post("/apps/3/users/u4/terminate_connections", "").is(200).says("{}")
	if want := []string{"u1", "u1", "u 2", "u 2", `ü/%"`, `ü/%"`, "u4", "u4"}; !slices.Equal(l.disconnected, want) {
		t.Errorf("%q", l.disconnected)
	}
	for _, call := range l.calls {
		if call.Space != testApp {
			t.Errorf("%+v", call)
		}
	}
	r.post("/users//terminate_connections", "{}").is(404)
	r.send(request{method: "POST", path: "/users/u/terminate_connections", body: "{}", key: "nobody"}).is(401)
}

// TestOneSinkFails gives no half of an answer, and publishes nothing that was to be
// counted.
func TestOneSinkFails(t *testing.T) {
	l := someListeners()
	l.fail = core.RefuseRetry(core.CodeTimeout, 2500*time.Millisecond, "no answer in time")
	r := start(t, l.prepare, settingsOf(t, ""))
	for _, a := range []answer{
		r.get("/apps/3/channels", ""), r.get("/apps/3/channels/a", ""), r.get("/apps/3/channels/presence-a/users", ""),
		r.post("/apps/3/users/u/terminate_connections", "{}"),
		r.event(`{"name":"e","channel":"a","data":"x","info":"subscription_count"}`),
		r.post("/apps/3/batch_events", `{"batch":[{"name":"e","channel":"a","data":"x","info":"subscription_count"}]}`),
	} {
		if a.is(503); a.header.Get("Retry-After") != "3" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
	}
	r.published(0)
	r.event(`{"name":"e","channel":"a","data":"x"}`).is(200)
}

// TestCounts asks for as much as is needed.
func TestCounts(t *testing.T) {
	l := someListeners()
	r := start(t, l.prepare, settingsOf(t, ""))
	a := r.event(`{"name":"e","channels":["presence-room","public","nobody"],"data":"x","info":"user_count, subscription_count"}`).is(200)
	if !strings.HasSuffix(a.body, `,"channels":{"presence-room":{"user_count":2,"subscription_count":4},"public":{"subscription_count":1},"nobody":{"subscription_count":0}}}`) {
		t.Error(a.body)
	}
	a = r.event(`{"name":"e","channels":["public"],"data":"x","info":"user_count"}`).is(200)
	if !strings.HasSuffix(a.body, `,"channels":{"public":{}}}`) {
		t.Error(a.body)
	}
	r.post("/apps/3/batch_events", `{"batch":[
		{"name":"e","channel":"public","data":"x","info":"subscription_count"},
		{"name":"e","channel":"presence-room","data":"x"},
		{"name":"e","channel":"presence-room","data":"x","info":"user_count"}]}`).is(200).says(`{"batch":[{"subscription_count":1},{},{"user_count":2}]}`)
	for i, want := range []string{
		`{"names":["presence-room","public","nobody"],"users":true}`, `{"names":["public"]}`, `{"names":["public","presence-room"],"users":true}`,
	} {
		if got := string(l.calls[i].Params); got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	}
	r.published(7)
}
