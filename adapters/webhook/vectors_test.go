package webhook

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
)

// vector is a request that Pusher's libraries accept.
type vector struct {
	ID, Name, Key, Secret string
	Headers               map[string]string
	Body                  string `json:"body_utf8"`
}

func vectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Webhooks []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Webhooks) == 0 {
		t.Fatal("no vectors")
	}
	return file.Webhooks
}

// eventsOf are the events of the bus that become the body.
func eventsOf(t testing.TB, body string) []core.Event {
	t.Helper()
	var parsed struct {
		TimeMS int64                        `json:"time_ms"`
		Events []map[string]json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal([]byte(body), &parsed); err != nil {
		t.Fatal(err)
	}
	var events []core.Event
	for _, element := range parsed.Events {
		text := func(name string) (s string) {
			if element[name] != nil {
				if err := json.Unmarshal(element[name], &s); err != nil {
					t.Fatal(err)
				}
			}
			return s
		}
		e := core.Event{Kind: core.KindHappening, Name: text("name"), Topic: text("channel"), Time: time.UnixMilli(parsed.TimeMS), Type: core.TypeJSON}
		if e.Name == clientEvent {
			e.Kind, e.Name, e.Data = core.KindClient, text("event"), []byte(text("data"))
			if !json.Valid(e.Data) {
				e.Type = core.TypeText
			}
			e.Meta = map[string]string{metaSocket: text("socket_id")}
			if user := text("user_id"); user != "" {
				e.Meta[metaUser] = user
			}
			e.Except = core.Audience{core.AudienceSocket: {text("socket_id")}}
		} else {
			delete(element, "name")
			delete(element, "channel")
			e.Data, _ = json.Marshal(element)
		}
		events = append(events, e)
	}
	return events
}

// The events of each vector become its bytes and headers, over the network.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.ID+" "+v.Name, func(t *testing.T) {
			receiver := newReceiver(t)
			events := eventsOf(t, v.Body)
			pair, _ := json.Marshal(map[string]any{"key": v.Key, "secret": v.Secret, "batch": map[string]any{"window": "1m", "events": len(events)}})
			r := start(t, receiver.URL, string(pair))
			answers := r.deliver(events...)
			got := receiver.next(t)
			if string(got.body) != v.Body {
				t.Errorf("body\n%s, want\n%s", got.body, v.Body)
			}
			for name, want := range v.Headers {
				if values := got.header[name]; len(values) != 1 || values[0] != want {
					t.Errorf("%s: %v, want %s", name, values, want)
				}
			}
			for range events {
				if a := wait(t, answers); a.receipt.Err != nil {
					t.Errorf("receipt %+v", a)
				}
			}
		})
	}
}

// An event that receivers would take for a replay carries the time of its attempt.
func TestStaleTime(t *testing.T) {
	clock := time.UnixMilli(eventTime)
	events := []prepared{{time: eventTime - 5, json: []byte(`{}`)}, {time: eventTime, json: []byte(`{}`)}, {time: 1, json: []byte(`{}`)}}
	for after, want := range map[time.Duration]string{
		0: "1700000000123", 290 * time.Second: "1700000000123", 290*time.Second + time.Millisecond: "1700000290124",
		-290 * time.Second: "1700000000123", -301 * time.Second: "1699999699123",
	} {
		if got := string(newBody(events, clock.Add(after))); got != `{"time_ms":`+want+`,"events":[{},{},{}]}` {
			t.Errorf("after %s: %s, want %s", after, got, want)
		}
	}
	if got := string(newBody([]prepared{{json: []byte(`{}`)}}, clock)); got != `{"time_ms":1700000000123,"events":[{}]}` {
		t.Errorf("without a time: %s", got)
	}
}
