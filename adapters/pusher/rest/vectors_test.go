package rest

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// vector is one request with the answer that the protocol wants.
type vector struct {
	ID, Name, Method, Target string
	Clock                    int64           `json:"server_clock_unix"`
	Body                     string          `json:"body_utf8"`
	Status                   int             `json:"expected_status"`
	Error                    string          `json:"expected_error_contains"`
	Answer                   json.RawMessage `json:"expected_body"`
	SameAs                   string          `json:"expected_body_same_as"`
	DiffersFrom              string          `json:"expected_body_differs_from"`
	After                    string          `json:"runs_after"`
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Rest []vector }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Rest
}

// TestVectors sends every vector over HTTP, each to an instance of its own, with
// those that come after it.
func TestVectors(t *testing.T) {
	vectors := readVectors(t)
	if len(vectors) < 97 {
		t.Errorf("only %d vectors", len(vectors))
	}
	for len(vectors) > 0 {
		n := 1
		for n < len(vectors) && vectors[n].After != "" {
			n++
		}
		t.Run(vectors[0].ID, func(t *testing.T) { runVectors(t, vectors[:n]) })
		vectors = vectors[n:]
	}
}

func runVectors(t *testing.T, vectors []vector) {
	r := start(t, nil, settingsOf(t, ""))
	answers := make(map[string]answer)
	for _, v := range vectors {
		r.clock.set(time.Unix(v.Clock, 0))
		before := len(r.events())
		a := r.send(request{method: v.Method, target: v.Target, body: v.Body}).is(v.Status).contains(v.Error)
		answers[v.ID] = a
		if v.Answer != nil {
			checkAnswer(t, r, a, v.Answer, before)
		}
		if v.SameAs != "" {
			a.says(answers[v.SameAs].body)
		}
		if v.DiffersFrom != "" {
			for _, id := range answers[v.DiffersFrom].ids() {
				if strings.Contains(a.body, id) {
					t.Errorf("%s: %s has an event id of %s", v.ID, a.body, v.DiffersFrom)
				}
			}
		}
		if v.Status != 200 || v.SameAs != "" {
			r.published(before)
		}
	}
}

var eventID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// checkAnswer compares an answer with what is wanted. Event ids must be those of
// the events that were published for their channels.
func checkAnswer(t *testing.T, r *running, a answer, want json.RawMessage, before int) {
	t.Helper()
	var got, wanted any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	if err := json.Unmarshal(want, &wanted); err != nil {
		t.Fatal(err)
	}
	ids := a.ids()
	published := make(map[string]string)
	for _, e := range r.events()[before:] {
		name := e.Topic
		if e.Direct {
			name = "#server-to-user-" + e.Only["user"][0]
		}
		published[name] = e.ID
	}
	seen := make(map[string]bool)
	for name, id := range ids {
		if !eventID.MatchString(id) || published[name] != id || seen[id] {
			t.Errorf("event id %s of %s: published was %s", id, name, published[name])
		}
		seen[id] = true
	}
	if fill(wanted, ids); !reflect.DeepEqual(got, wanted) {
		t.Errorf("answer %s, want %s", a.body, want)
	}
}

// fill replaces the placeholders of event ids.
func fill(wanted any, ids map[string]string) {
	object, ok := wanted.(map[string]any)
	if !ok {
		return
	}
	members, _ := object["event_ids"].(map[string]any)
	for name := range members {
		members[name] = fmt.Sprint(ids[name])
	}
}
