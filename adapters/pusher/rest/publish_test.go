package rest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestEvent(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	a := r.event(`{"channels":["b","a","b","#server-to-user-u1"],"name":"é","data":"{\"n\": 12345678901234567890}","socket_id":"1.2","unknown":{"name":"x"}}`).is(200)
	want := []core.Event{
		{Topic: "b", Data: []byte(`{"n": 12345678901234567890}`)},
		{Topic: "a", Data: []byte(`{"n": 12345678901234567890}`)},
		{Direct: true, Only: core.Audience{"user": {"u1"}}, Data: []byte(`{"n": 12345678901234567890}`)},
	}
	publications := r.host.Published()
	if len(publications) != 1 || len(publications[0].Events) != 3 || publications[0].Ack != core.AckRoute {
		t.Fatalf("%+v", publications)
	}
	ids := a.ids()
	for i, e := range publications[0].Events {
		w := want[i]
		name := w.Topic
		if w.Direct {
			name = "#server-to-user-u1"
		}
		w.ID, w.Space, w.Name, w.Type, w.Except = ids[name], "3", "é", core.TypeJSON, core.Audience{"socket": {"1.2"}}
		if !reflect.DeepEqual(e, w) {
			t.Errorf("%+v\nwant %+v", e, w)
		}
	}
	if len(ids) != 3 {
		t.Errorf("ids %v", ids)
	}
}

// TestFields has every way to be wrong, in the order in which they are looked for:
// what each body lacks or has wrong first is what the answer names.
func TestFields(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"limits":{"channels_per_event":3}}`))
	for body, want := range map[string]string{
		`x`:                       "Invalid JSON",
		`[]`:                      "Invalid JSON",
		`"a"`:                     "Invalid JSON",
		`{} {}`:                   "Invalid JSON",
		"{\"name\":\"\xff\"}":     "Invalid JSON",
		`{}`:                      "name is missing",
		`{"Name":"e"}`:            "name is missing",
		`{"name":null}`:           "name is missing",
		`{"name":""}`:             "name is missing",
		`{"name":5}`:              "name is not a string",
		`{"name":"pusher:x"}`:     "reserved",
		`{"name":"\u0070usher:"}`: "reserved",
		`{"name":"e"}`:            "channel is missing",
		`{"name":"e","channel":"","channels":[]}`:                                "channel is missing",
		`{"name":"e","channel":null,"channels":null}`:                            "channel is missing",
		`{"name":"e","channel":["a"]}`:                                           "channel is not a string",
		`{"name":"e","channels":"a"}`:                                            "channels is not a list",
		`{"name":"e","channels":{"a":1}}`:                                        "channels is not a list",
		`{"name":"e","channels":["a",5]}`:                                        "channels is not a list",
		`{"name":"e","channels":["a","a","a","b:"]}`:                             "at most 3 channels, not 4",
		`{"name":"e","channels":["a","b c"]}`:                                    `"b c": the character ' '`,
		`{"name":"e","channels":["a",""]}`:                                       "not empty",
		`{"name":"e","channel":"#server-to-user-"}`:                              "not empty",
		`{"name":"e","channel":"a"}`:                                             "data is missing",
		`{"name":"e","channel":"a","data":null}`:                                 "data is missing",
		`{"name":"e","channel":"a","data":"x","socket_id":5,"info":5}`:           "socket_id is not a string",
		`{"name":"e","channel":"a","data":"x","info":5,"idempotency_key":5}`:     "info is not a string",
		`{"name":"e","channel":"a","data":"x","info":"cache"}`:                   "info",
		`{"name":"e","channel":"a","data":"x","info":"user_count,"}`:             "info",
		`{"name":"e","channel":"a","data":"x","idempotency_key":{}}`:             "idempotency_key is not a string",
		`{"name":"e","channel":"a","data":"x","idempotency_key":""}`:             "idempotency_key has 1 to 128",
		`{"name":"` + strings.Repeat("é", 201) + `","channel":"a","data":"x"}`:   "at most 200 characters",
		`{"name":"e","channel":"` + strings.Repeat("x", 201) + `","data":"x"}`:   "at most 200 characters",
		`{"name":"e","channel":"a","data":"x","name":"","deep":{"name":"deep"}}`: "name is missing",
	} {
		r.event(body).is(400).contains(want)
	}
	r.published(0)
	for body, want := range map[string]string{
		`{"name":"e","channel":"a","data":""}`:                                              "",
		`{"name":"e","channel":"a","data":"\ud83d\ude00\u00e9\n\\\/\"\b\f\r\t\ud83dx"}`:     "😀é\n\\/\"\b\f\r\t\uFFFDx",
		`{"name":"e","channel":"a","data":{"a" : [1, "x y"], "b":1e400}}`:                   `{"a":[1,"x y"],"b":1e400}`,
		` { "name" : "e" , "channel" : "a" , "data" : [ ] } `:                               `[]`,
		`{"name":"e","channel":"a","data":5}`:                                               `5`,
		`{"name":"e","channel":"a","data":false}`:                                           `false`,
		`{"name":"e","channel":"a","channels":[],"data":"x"}`:                               "x",
		`{"name":"e","channels":["a"],"channel":"b","data":"x"}`:                            "x",
		`{"name":"e","channel":"a","data":"x","socket_id":null,"info":null}`:                "x",
		`{"name":"e","channel":"a","data":"x","socket_id":"","info":""}`:                    "x",
		`{"name":"e","channel":"a","data":"x","idempotency_key":null}`:                      "x",
		`{"name":"` + strings.Repeat("é", 200) + `","channel":"a","data":"x"}`:              "x",
		`{"d\u0061ta":"y","name":"e","channel":"a"}`:                                        "y",
		`{"name":"e","channel":"a","data":"x","z":[{"data":"}]"}],"y":{"a":"\\\"}"},"b":1}`: "x",
	} {
		before := len(r.events())
		r.event(body).is(200)
		if e := r.published(before + 1); string(e.Data) != want || e.Topic != "a" || e.Except != nil {
			t.Errorf("%s: %+v, want data %q", body, e, want)
		}
	}
}

func TestDataTypes(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	for data, want := range map[string]string{`"5"`: core.TypeJSON, `"\"x\""`: core.TypeJSON, `"x"`: core.TypeText, `""`: core.TypeText, `{}`: core.TypeJSON, `"{"`: core.TypeText} {
		r.event(`{"name":"e","channel":"a","data":` + data + `}`).is(200)
		events := r.events()
		if e := events[len(events)-1]; e.Type != want {
			t.Errorf("%s: %s, want %s", data, e.Type, want)
		}
	}
}

// TestParametersInTheQuery count where the body lacks them.
func TestParametersInTheQuery(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"strict_query":true}`))
	send := func(query, body string) answer {
		return r.send(request{method: "POST", path: "/apps/3/events", query: query, body: body})
	}
	send("name=e&channel=a&data=x+y&socket_id=1.2", "").is(200)
	if e := r.published(1); e.Topic != "a" || e.Name != "e" || string(e.Data) != "x y" || e.Except["socket"][0] != "1.2" {
		t.Errorf("%+v", e)
	}
	send("channels[]=b&channels[]=a&Name=other", `{"name":"e","data":"x"}`).is(200)
	if events := r.events(); len(events) != 3 || events[1].Topic != "b" || events[2].Topic != "a" || events[2].Name != "e" {
		t.Errorf("%+v", events)
	}
	send("channels[]=b", `{"name":"e","data":"x","channel":"c"}`).is(200)
	if e := r.published(4); e.Topic != "c" {
		t.Errorf("%+v", e)
	}
	send("socket_id=1.2", `{"name":"e","data":"x","channel":"c"}`).is(200)
	if e := r.published(5); e.Except["socket"][0] != "1.2" {
		t.Errorf("%+v", e)
	}
	r.send(request{method: "POST", path: "/apps/3/events", query: "name=e"}).is(400).contains("channel")
	send("info=nonsense", `{"name":"e","data":"x","channel":"c"}`).is(400)
	send("other=1", `{"name":"e","data":"x","channel":"c"}`).is(400).contains("extraneous: other")
	send("", "").is(400).contains("name")
}

func TestBatch(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"limits":{"events_per_batch":3,"event_data":10}}`))
	batch := func(body string) answer { return r.post("/apps/3/batch_events", body) }
	batch(`{"batch":[{"name":"e1","channel":"a","data":"1","socket_id":"1.2"},{"name":"e2","channel":"b","data":{}},{"name":"e3","channel":"a","data":"3"}]}`).is(200).says("{}")
	p := r.host.Published()
	if len(p) != 1 || len(p[0].Events) != 3 || p[0].EventIDs {
		t.Fatalf("%+v", p)
	}
	for i, want := range []string{"e1 a 1", "e2 b {}", "e3 a 3"} {
		if e := p[0].Events[i]; e.Name+" "+e.Topic+" "+string(e.Data) != want {
			t.Errorf("%+v", e)
		}
	}
	if p[0].Events[0].Except["socket"][0] != "1.2" || p[0].Events[1].Except != nil {
		t.Error("socket_id")
	}
	const good = `{"name":"e","channel":"a","data":"x"}`
	for body, want := range map[string]string{
		`x`: "Invalid JSON", ``: "Invalid JSON", `{}`: "batch is missing", `{"batch":null}`: "batch is missing", `{"batch":{}}`: "batch is missing", `{"batch":"x"}`: "batch is missing",
		`{"batch":[` + good + `,5]}`:  "batch[1] is not an object",
		`{"batch":[` + good + `,{}]}`: "batch[1]: name",
		`{"batch":[5,5,5,5]}`:         "Batch too large (> 3)",
		`{"batch":[` + good + `,{"name":"e","channels":["a"],"data":"x"}]}`: "batch[1]: channels",
	} {
		batch(body).is(400).contains(want)
	}
	batch(`{"batch":[` + good + `,{"name":"e","channel":"a","data":"12345678901"}]}`).is(413).contains("batch[1]: The data content of this event exceeds the allowed maximum (10 characters)")
	batch(`{"batch":[]}`).is(200).says("{}")
	if len(r.host.Published()) != 1 {
		t.Error("something was published")
	}
}

// TestPostToChannel is the old form.
func TestPostToChannel(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"limits":{"event_data":10}}`))
	send := func(channel, query, body string) answer {
		return r.send(request{method: "POST", path: "/apps/3/channels/" + channel + "/events", query: query, body: body})
	}
	if a := send("a", "name=e&socket_id=1.2", `{"a": 1}`).is(202); a.body != "" || a.header.Get("Content-Length") != "0" {
		t.Errorf("%+v", a)
	}
	if e := r.published(1); e.Topic != "a" || e.Name != "e" || string(e.Data) != `{"a": 1}` || e.Type != core.TypeJSON || e.Except["socket"][0] != "1.2" {
		t.Errorf("%+v", e)
	}
	send("a", "name=e", "").is(202)
	send("a", "", "x").is(400).contains("name")
	send("a b", "name=e", "x").is(400).contains("channel")
	send("a", "name=e", "\xff").is(400).contains("UTF-8")
	send("a", "name=e", "12345678901").is(413)
	r.published(2)
}

// TestRefusals turns what the bus says into answers.
func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		after  string
	}{
		"full":             {core.RefuseRetry(core.CodeQueueFull, 1200*time.Millisecond, "full"), 503, "2"},
		"not running":      {core.Refuse(core.CodeNotRunning, "stopped"), 503, "1"},
		"dropped":          {core.Refuse(core.CodeDropped, "dropped"), 503, "1"},
		"too large":        {core.Refuse(core.CodeTooLarge, "16 MiB"), 413, ""},
		"audience":         {core.Refuse(core.CodeAudienceUnsupported, "no sockets here"), 400, ""},
		"of a sink's own":  {core.Refuse("invalid_channel", "no"), 400, ""},
		"internal":         {errors.New("broken"), 500, ""},
		"space":            {core.Refuse(core.CodeSpaceUnknown, "which?"), 500, ""},
		"outcome unknown":  {&core.Refusal{Code: core.CodeTimeout, Outcome: core.OutcomeUnknown}, 504, ""},
		"context":          {fmt.Errorf("x: %w", context.DeadlineExceeded), 504, ""},
		"gone, maybe done": {&core.Refusal{Code: core.CodeGone, Outcome: core.OutcomeUnknown}, 503, "1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, func(h *coretest.Host) {
				h.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) { return nil, test.err }
			}, settingsOf(t, ""))
			for _, a := range []answer{
				r.event(`{"name":"e","channel":"a","data":"x","idempotency_key":"k"}`),
				r.event(`{"name":"e","channel":"a","data":"x","idempotency_key":"k"}`),
				r.post("/apps/3/batch_events", `{"batch":[{"name":"e","channel":"a","data":"x"}]}`),
				r.send(request{method: "POST", path: "/apps/3/channels/a/events", query: "name=e", body: "x"}),
			} {
				if a.is(test.status); a.header.Get("Retry-After") != test.after {
					t.Errorf("Retry-After %q, want %q", a.header.Get("Retry-After"), test.after)
				}
			}
			if len(r.host.Published()) != 4 {
				t.Error("a failure was remembered")
			}
			if log := r.host.logged(); test.status >= 500 && !strings.Contains(log, "level=WARN") {
				t.Errorf("no warning: %s", log)
			}
		})
	}
}

// TestSinksReceipts are not taken for ids.
func TestSinksReceipts(t *testing.T) {
	r := start(t, func(h *coretest.Host) {
		h.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
			return []core.Receipt{{Sink: "wamp", ID: "4711", EventID: "other"}, {Event: 99, EventID: "beyond"}}, nil
		}
	}, settingsOf(t, ""))
	if a := r.event(`{"name":"e","channel":"a","data":"x"}`).is(200); a.ids()["a"] != r.published(1).ID || len(a.ids()) != 1 {
		t.Error(a.body)
	}
}
