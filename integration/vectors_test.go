//go:build integration

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// vector is one case of the Crossbar HTTP pusher's shared vectors.
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
	Expect struct {
		Accepts         bool    `json:"bridge_accepts"`
		StatusPusher    int     `json:"bridge_status_pusher"`
		StatusPublisher int     `json:"bridge_status_publisher"`
		Error           *string `json:"bridge_error"`
	}
}

// sequel are the vectors that follow replay-first on its endpoint.
var sequel = map[string]bool{"replay-second": true, "splice-of-replay-first": true}

// Every vector over real HTTP against a running bridge, in both profiles: one
// file, one process, one port, an endpoint for each vector, and a WAMP router
// behind them.
func TestCrossbarVectors(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(root(t), "adapters", "crossbar", "testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	push := address(t)
	b := serveVectors(t, file.Vectors, push)
	if r := b.status(t).Routes[0]; r.State != "ready" {
		t.Fatalf("%s %+v", r.Problem, r.Findings)
	}
	for _, profile := range []string{"pusher", "publisher"} {
		for _, v := range file.Vectors {
			t.Run(profile+"/"+v.Name, func(t *testing.T) { v.try(t, push, profile) })
		}
	}
}

// buildPinned builds a plugin whose clock is the file it returns.
func buildPinned(t *testing.T, dir, plugin string) (clock string) {
	t.Helper()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "plugins", "bridge-plugin-"+plugin), "./integration/pinned")
	build.Dir = root(t)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the pinned plugin: %v\n%s", err, out)
	}
	return filepath.Join(dir, "clock")
}

// serveVectors runs a bridge whose plugin for crossbar-pusher has its clock
// pinned.
func serveVectors(t *testing.T, vectors []vector, push string) *bridge {
	t.Helper()
	dir := t.TempDir()
	clock := buildPinned(t, dir, "crossbar")
	writeFile(t, clock, vectors[0].Now)
	var inbound []any
	for _, profile := range []string{"pusher", "publisher"} {
		for _, v := range vectors {
			if sequel[v.Name] {
				continue
			}
			config := map[string]any{"listen": push, "path": v.path(profile), "realm": "realm1", "role": "role1", "type": profile}
			for key, value := range v.Config {
				config[key] = value
			}
			inbound = append(inbound, map[string]any{"adapter": "crossbar-pusher", "env": []any{"BRIDGE_TEST_CLOCK"}, "config": config})
		}
	}
	route := map[string]any{"inbound": inbound, "outbound": map[string]any{"adapter": "wamp", "config": map[string]any{
		"mode": "router", "listen": address(t), "realms": []any{map[string]any{"name": "realm1", "roles": []any{map[string]any{
			"name": "role1", "permissions": []any{
				map[string]any{"uri": "*", "allow": map[string]any{"publish": true}},
				map[string]any{"uri": "deny.me", "allow": map[string]any{"publish": false}},
			},
		}}}},
	}}}
	encoded, err := json.Marshal(route)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{
		"conf.d/10-vectors.json": encoded,
		"bridge.yaml":            []byte("plugin_dirs: [plugins]\n"),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return serveIn(t, dir, "BRIDGE_TEST_CLOCK="+clock)
}

func (v *vector) path(profile string) string {
	name := v.Name
	if sequel[name] {
		name = "replay-first"
	}
	return "/" + profile + "/" + name
}

func (v *vector) try(t *testing.T, push, profile string) {
	request, err := http.NewRequest(v.Request.Method, "http://"+push+v.path(profile)+"?"+v.Request.RawQuery, bytes.NewReader(v.Request.Body))
	if err != nil {
		t.Fatal(err)
	}
	if v.Request.ContentType != nil {
		request.Header.Set("Content-Type", *v.Request.ContentType)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	want := v.Expect.StatusPusher
	if profile == "publisher" {
		want = v.Expect.StatusPublisher
	}
	var answer struct {
		ID    uint64
		Error string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	if response.StatusCode != want || (answer.ID != 0) != v.Expect.Accepts || (answer.Error == "") != v.Expect.Accepts {
		t.Errorf("status %d, answer %s; want status %d, accepted %v", response.StatusCode, body, want, v.Expect.Accepts)
	}
	if v.Expect.Error != nil && answer.Error != *v.Expect.Error {
		t.Errorf("error %q, want %q", answer.Error, *v.Expect.Error)
	}
	if answer.ID > 1<<53 {
		t.Errorf("id %s is out of range", fmt.Sprint(answer.ID))
	}
}
