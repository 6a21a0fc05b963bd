package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

type vector struct {
	Name    string
	Config  map[string]any
	Now     string
	Request struct {
		Method      string
		ContentType *string `json:"content_type"`
		RawQuery    string  `json:"raw_query"`
		Body        []byte  `json:"body_base64"`
	}
	Params           map[string]string
	CorrectSignature string `json:"correct_signature"`
	Expect           struct {
		Accepts         bool    `json:"bridge_accepts"`
		StatusPusher    int     `json:"bridge_status_pusher"`
		StatusPublisher int     `json:"bridge_status_publisher"`
		Error           *string `json:"bridge_error"`
		Event           *struct {
			Topic        string
			Args, Kwargs json.RawMessage
			Options      map[string]json.RawMessage
		}
		BusEvent *struct {
			Kind, Space, Topic, Type, Data string
			Only, Except                   core.Audience
			Meta                           map[string]string
		} `json:"bus_event"`
	}
}

// sequel are the vectors that follow replay-first on its endpoint.
var sequel = map[string]bool{"replay-second": true, "splice-of-replay-first": true}

func readVectors(t testing.TB) []vector {
	t.Helper()
	raw, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) != 104 {
		t.Fatalf("%d vectors, want 104", len(file.Vectors))
	}
	return file.Vectors
}

// denying answers publish.authorize as the vectors assume.
func denying(host *coretest.Host) {
	host.OnCall = func(_ context.Context, call core.Call) ([]core.Answer, error) {
		return []core.Answer{core.NewAnswer(core.Authorization{
			Allowed: call.Topic != "deny.me", Error: "wamp.error.not_authorized",
		})}, nil
	}
}

func TestVectors(t *testing.T) {
	for _, profile := range []string{"", "pusher", "publisher"} {
		t.Run("type "+profile, func(t *testing.T) {
			var previous *running
			for _, v := range readVectors(t) {
				if sequel[v.Name] {
					v.run(t, previous, profile)
					continue
				}
				t.Run(v.Name, func(t *testing.T) {
					if v.Name == "replay-first" {
						return // below, together with its sequel
					}
					v.run(t, v.start(t, profile), profile)
				})
				if v.Name == "replay-first" {
					previous = v.start(t, profile)
					v.run(t, previous, profile)
				}
			}
		})
	}
}

func (v *vector) start(t *testing.T, profile string) *running {
	if profile != "" {
		v.Config["type"] = profile
	}
	config, err := json.Marshal(v.Config)
	if err != nil {
		t.Fatal(err)
	}
	r := start(t, denying, string(config))
	r.clock.time = newClock(v.Now).time
	return r
}

func (v *vector) run(t *testing.T, r *running, profile string) {
	before := len(r.events())
	header := http.Header{"Content-Type": nil}
	if v.Request.ContentType != nil {
		header.Set("Content-Type", *v.Request.ContentType)
	}
	got := send(t, r.client, request{method: v.Request.Method, url: r.url(v.Request.RawQuery), header: header, body: v.Request.Body})
	status := v.Expect.StatusPusher
	if profile == "publisher" {
		status = v.Expect.StatusPublisher
	}
	if !v.Expect.Accepts {
		text := got.fault(t, status).Error
		if v.Expect.Error != nil && text != *v.Expect.Error {
			t.Errorf("%s: error %q, want %q", v.Name, text, *v.Expect.Error)
		}
		r.published(before)
		return
	}
	got.id(t, status)
	v.compare(t, r.published(before+1))
}

func (v *vector) compare(t *testing.T, event core.Event) {
	t.Helper()
	want := v.Expect.Event
	if event.Topic != want.Topic || event.Direct || event.Name != "" || event.ID != "" || event.Source != "" {
		t.Errorf("event %+v", event)
	}
	sameJSON(t, event.Data, `{"args":`+string(want.Args)+`,"kwargs":`+string(want.Kwargs)+`}`)
	only, except := audiences(t, want.Options)
	if diff := cmp.Diff(only, event.Only) + cmp.Diff(except, event.Except); diff != "" {
		t.Errorf("audience: %s", diff)
	}
	if given := v.Params["timestamp"]; given != "" {
		if want, _ := time.Parse(time.RFC3339Nano, given); !event.Time.Equal(want) {
			t.Errorf("time %s, want %s", event.Time, want)
		}
	} else if _, sent := v.Params["timestamp"]; !sent && !event.Time.IsZero() && !strings.Contains(v.Request.RawQuery, "timestamp") {
		t.Errorf("time %s without a timestamp", event.Time)
	}
	if bus := v.Expect.BusEvent; bus != nil {
		if event.Kind.String() != bus.Kind || event.Space != bus.Space || event.Topic != bus.Topic || event.Type != bus.Type {
			t.Errorf("event %+v, want %+v", event, bus)
		}
		sameJSON(t, event.Data, bus.Data)
		if diff := cmp.Diff(bus.Only, event.Only) + cmp.Diff(bus.Except, event.Except) + cmp.Diff(bus.Meta, event.Meta); diff != "" {
			t.Error(diff)
		}
	}
}

// audiences are those that normalised options stand for.
func audiences(t *testing.T, options map[string]json.RawMessage) (only, except core.Audience) {
	kinds := map[string]string{"": core.AudienceSession, "_authid": core.AudienceUser, "_authrole": core.AudienceRole}
	read := func(prefix string) (audience core.Audience) {
		for suffix, kind := range kinds {
			raw, ok := options[prefix+suffix]
			if !ok {
				continue
			}
			if audience == nil {
				audience = core.Audience{}
			}
			entries := []string{}
			for _, entry := range decodeExact(t, raw).([]any) {
				if number, ok := entry.(json.Number); ok {
					entry = number.String()
				}
				entries = append(entries, entry.(string))
			}
			audience[kind] = entries
		}
		return audience
	}
	return read("eligible"), read("exclude")
}

func sameJSON(t *testing.T, got []byte, want string) {
	t.Helper()
	if g, w := decodeExact(t, got), decodeExact(t, []byte(want)); !reflect.DeepEqual(g, w) {
		t.Errorf("data %s, want %s", got, want)
	}
}

func decodeExact(t *testing.T, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

// TestVectorSignatures holds Sign against every signature of the vectors.
func TestVectorSignatures(t *testing.T) {
	checked := 0
	for _, v := range readVectors(t) {
		secret, signed := v.Config["secret"].(string)
		if !signed || v.CorrectSignature == "" {
			continue
		}
		p := Parameters{Key: v.Params["key"], Timestamp: v.Params["timestamp"], Seq: v.Params["seq"], Nonce: v.Params["nonce"]}
		query, signature := Sign(secret, p, v.Request.Body)
		if signature != v.CorrectSignature {
			t.Errorf("%s: signature %s, want %s", v.Name, signature, v.CorrectSignature)
		}
		q := parseQuery(query)
		if got := q.parameters(); got != p || q.signature.value != signature {
			t.Errorf("%s: query %s does not carry the parameters", v.Name, query)
		}
		checked++
	}
	if checked < 80 {
		t.Errorf("only %d signatures were checked", checked)
	}
}
