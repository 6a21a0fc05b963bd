//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pusherVectors are the shared vectors of Pusher's HTTP API and sockets.
type pusherVectors struct {
	Rest   []pusherVector
	Socket struct {
		Defaults struct {
			App  map[string]any
			Path string
		}
		Scripts []dialogue
	}
}

// pusherVector is one request with the answer that the protocol wants.
type pusherVector struct {
	ID, Method, Target string
	Clock              int64           `json:"server_clock_unix"`
	Body               string          `json:"body_utf8"`
	Status             int             `json:"expected_status"`
	Error              string          `json:"expected_error_contains"`
	Answer             json.RawMessage `json:"expected_body"`
	SameAs             string          `json:"expected_body_same_as"`
	DiffersFrom        string          `json:"expected_body_differs_from"`
}

func readPusherVectors(t *testing.T, adapter string) (v pusherVectors) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root(t), "adapters", "pusher", adapter, "testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Every vector of the HTTP API over real HTTP against a running bridge with a
// pinned clock and a socket server without clients, in their order: those that
// build on another follow it, and no others share an idempotency key.
func TestPusherVectors(t *testing.T) {
	vectors := readPusherVectors(t, "rest").Rest
	if len(vectors) < 97 {
		t.Errorf("only %d vectors", len(vectors))
	}
	dir, at := t.TempDir(), address(t)
	clock := buildPinned(t, dir, "pusher")
	writeFile(t, clock, "")
	writeFile(t, filepath.Join(dir, "bridge.yaml"), "plugin_dirs: [plugins]\n")
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "conf.d", "10-vectors.yaml"), fmt.Sprintf(`
inbound:
  adapter: pusher-rest
  env: [BRIDGE_TEST_CLOCK]
  config:
    listen: %[1]q
    apps: &apps
      - { id: "3", key: 278d425bdf160c739803, secret: 7ad3773142a6692b25b8 }
      - { id: "4", key: other, secret: other }
outbound:
  adapter: pusher-socket
  env: [BRIDGE_TEST_CLOCK]
  config: { listen: %[1]q, apps: *apps }
`, at))
	serveIn(t, dir, "BRIDGE_TEST_CLOCK="+clock)
	answers := make(map[string]string)
	for _, v := range vectors {
		t.Run(v.ID, func(t *testing.T) {
			writeFile(t, clock, time.Unix(v.Clock, 0).Format(time.RFC3339Nano))
			answers[v.ID] = v.try(t, at, answers)
		})
	}
}

func (v *pusherVector) try(t *testing.T, at string, answers map[string]string) (answer string) {
	request, err := http.NewRequest(v.Method, "http://"+at+v.Target, strings.NewReader(v.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer = string(body)
	if response.StatusCode != v.Status || !strings.Contains(strings.ToLower(answer), strings.ToLower(v.Error)) {
		t.Errorf("status %d, answer %s; want status %d and %q", response.StatusCode, answer, v.Status, v.Error)
	}
	if v.Answer != nil {
		sameAnswer(t, body, v.Answer)
	}
	if v.SameAs != "" && answer != answers[v.SameAs] {
		t.Errorf("answer %s, want that of %s, %s", answer, v.SameAs, answers[v.SameAs])
	}
	for _, id := range eventIDs.FindAllString(answers[v.DiffersFrom], -1) {
		if strings.Contains(answer, id) {
			t.Errorf("answer %s has an event id of %s", answer, v.DiffersFrom)
		}
	}
	return answer
}

var eventIDs = regexp.MustCompile(`"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"`)

// sameAnswer compares an answer with what is wanted; event ids, all different, are
// where it says so.
func sameAnswer(t *testing.T, answer, wanted []byte) {
	t.Helper()
	seen := make(map[string]bool)
	for _, id := range eventIDs.FindAllString(string(answer), -1) {
		if seen[id] {
			t.Errorf("the event id %s is there twice", id)
		}
		seen[id] = true
	}
	var got, want any
	if err := json.Unmarshal(eventIDs.ReplaceAll(answer, []byte(`"{{event_id}}"`)), &got); err != nil {
		t.Fatalf("answer %s: %v", answer, err)
	}
	if err := json.Unmarshal(wanted, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answer %s, want %s", answer, wanted)
	}
}
