package webhook

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	pusher "github.com/pusher/pusher-http-go/v5"

	"github.com/pushbridge/bridge/core"
)

func TestElements(t *testing.T) {
	happening := func(name, data string) core.Event {
		return core.Event{Kind: core.KindHappening, Topic: "c", Name: name, Type: core.TypeJSON, Data: []byte(data)}
	}
	client := func(kind, data string) core.Event {
		return core.Event{Kind: core.KindClient, Topic: "c", Name: "client-x", Type: kind, Data: []byte(data)}
	}
	for name, test := range map[string]struct {
		event core.Event
		want  string // the element, or the code of the refusal
	}{
		"occupied":          {happening("channel_occupied", `{}`), `{"name":"channel_occupied","channel":"c"}`},
		"no data":           {happening("channel_vacated", ``), `{"name":"channel_vacated","channel":"c"}`},
		"member":            {happening("member_added", `{"user_id":"u<1>"}`), `{"name":"member_added","channel":"c","user_id":"u<1>"}`},
		"a number as user":  {happening("member_removed", `{"user_id":12345678901234567890}`), `{"name":"member_removed","channel":"c","user_id":"12345678901234567890"}`},
		"no user":           {happening("member_added", `{}`), core.CodePayload},
		"an object as user": {happening("member_added", `{"user_id":{}}`), core.CodePayload},
		"broken":            {happening("member_added", `{`), core.CodePayload},
		"count":             {happening("subscription_count", `{"subscription_count":0}`), `{"name":"subscription_count","channel":"c","subscription_count":0}`},
		"a fraction":        {happening("subscription_count", `{"subscription_count":1.5}`), core.CodePayload},
		"no count":          {happening("subscription_count", `{}`), core.CodePayload},
		"cache miss":        {happening("cache_miss", `{}`), `{"name":"cache_miss","channel":"c"}`},
		"another happening": {happening("session_joined", `{}`), codeKind},
		"text":              {client(core.TypeText, "Zoë & ☃"), `{"name":"client_event","channel":"c","event":"client-x","data":"Zoë & ☃"}`},
		"JSON":              {client(core.TypeJSON, `{"on":true}`), `{"name":"client_event","channel":"c","event":"client-x","data":"{\"on\":true}"}`},
		"empty":             {client(core.TypeText, ""), `{"name":"client_event","channel":"c","event":"client-x","data":""}`},
		"WAMP":              {client(core.TypeWAMP, `{"args":[1],"kwargs":{}}`), `{"name":"client_event","channel":"c","event":"client-x","data":"1"}`},
		"bytes":             {client(core.TypeBin, "\x00\xff"), `{"name":"client_event","channel":"c","event":"client-x","data":"AP8="}`},
		"broken text":       {client(core.TypeText, "\xff"), core.CodePayload},
		"message":           {core.Event{Topic: "c", Name: "e"}, codeKind},
		"no channel":        {core.Event{Kind: core.KindHappening, Name: "cache_miss"}, core.CodeNoTopic},
		"direct":            {core.Event{Kind: core.KindClient, Direct: true}, core.CodeNoTopic},
		"audience":          {core.Event{Kind: core.KindClient, Topic: "c", Only: core.Audience{"user": {}}}, core.CodeAudienceUnsupported},
	} {
		e, refusal := newElement(&test.event)
		got := string(marshal(e))
		if refusal != nil {
			got = refusal.Code
			if refusal.Retryable {
				t.Errorf("%s: the refusal is not final", name)
			}
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// Whatever comes over the bus, what is sent is JSON that Pusher's library for Go
// can read, and says what the event said.
func FuzzElement(f *testing.F) {
	f.Add(uint8(2), "c", "member_added", core.TypeJSON, []byte(`{"user_id":"u"}`))
	f.Add(uint8(1), "private-c", "client-x", core.TypeWAMP, []byte(`{"args":[1]}`))
	f.Add(uint8(1), "c", "x", "", []byte("\xff"))
	f.Fuzz(func(t *testing.T, kind uint8, topic, name, mediaType string, data []byte) {
		if !utf8.ValidString(topic) || !utf8.ValidString(name) {
			t.Skip("no frame has such texts")
		}
		event := core.Event{Kind: core.Kind(kind % 3), Topic: topic, Name: name, Type: mediaType, Data: data}
		e, refusal := newElement(&event)
		if refusal != nil {
			return
		}
		var read pusher.WebhookEvent
		if err := json.Unmarshal(marshal(e), &read); err != nil {
			t.Fatalf("%s: %v", marshal(e), err)
		}
		if read.Channel != topic || event.Kind == core.KindClient && read.Event != name {
			t.Errorf("%+v became %s", event, marshal(e))
		}
	})
}
