package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// write makes files of a folder and returns it.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, name, content string) *RouteFile {
	t.Helper()
	return ReadRoute(filepath.Join(write(t, map[string]string{name: content}), name), Environment{})
}

// brief are the findings without their folder.
func brief(findings Findings) []string {
	var all []string
	for _, f := range findings {
		f.File = filepath.Base(f.File)
		all = append(all, f.String())
	}
	return all
}

// One route in three languages reads the same.
func TestLanguages(t *testing.T) {
	want := Route{
		Inbound: OneOrMore[Inbound]{{Instance{Adapter: "a", Name: "chat.a", Config: map[string]any{"n": 12.0, "deep": []any{map[string]any{"x": true}}}}}},
		Outbound: OneOrMore[Outbound]{
			{Instance: Instance{Adapter: "b", Name: "chat.b"}, When: `event.topic == "t"`, Set: Set{Meta: map[string]string{"m": `"v"`}}},
			{Instance: Instance{Adapter: "b", Name: "chat.b-2"}, Queue: Queue{Events: 5, Bytes: 1 << 20}},
			{Instance: Instance{Use: "other"}, Kinds: []string{"happening"}},
		},
		Ack: "all",
	}
	for name, content := range map[string]string{
		"10-chat.yaml": `
inbound:
  adapter: a
  config: { n: 12, deep: [{ x: true }] }
outbound:
  - { adapter: b, when: 'event.topic == "t"', set: { meta: { m: '"v"' } } }
  - { adapter: b, queue: { events: 5, bytes: 1MiB } }
  - { use: other, kinds: [happening] }
ack: all
`,
		"20_chat.json": `{
	"inbound": {"adapter": "a", "config": {"n": 12, "deep": [{"x": true}]}},
	"outbound": [
		{"adapter": "b", "when": "event.topic == \"t\"", "set": {"meta": {"m": "\"v\""}}},
		{"adapter": "b", "queue": {"events": 5, "bytes": 1048576}},
		{"use": "other", "kinds": ["happening"]}
	],
	"ack": "all"
}`,
		"chat.toml": `
ack = "all"
[inbound]
adapter = "a"
config = { n = 12, deep = [{ x = true }] }
[[outbound]]
adapter = "b"
when = 'event.topic == "t"'
set.meta.m = '"v"'
[[outbound]]
adapter = "b"
[outbound.queue]
events = 5
bytes = "1MiB"
[[outbound]]
use = "other"
kinds = ["happening"]
`,
	} {
		t.Run(name, func(t *testing.T) {
			f := read(t, name, content)
			if f.Findings != nil || f.Name != "chat" {
				t.Fatalf("name %q, findings %v", f.Name, f.Findings)
			}
			if diff := cmp.Diff(want, f.Route); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Every finding has its place, in each language, and they come all at once.
func TestPositions(t *testing.T) {
	for _, test := range []struct {
		name, content string
		want          []string
	}{
		{"keys.yaml", "inbound:\n  adapter: a\n  conf: {}\noutbund: []\nack: sometimes\n", []string{
			`keys.yaml:3:3: error: unknown key "conf"; did you mean "config"?`,
			`keys.yaml:4:1: error: unknown key "outbund"; did you mean "outbound"?`,
			`keys.yaml:5:1: error: want one of sent, queued, first, all; known here: all, first, queued, sent`,
		}},
		{"keys.json", "{\n  \"inbound\": {\"adapter\": 7},\n  \"outbound\": [\n    {\"adapter\": \"b\", \"kinds\": [\"msg\"]}\n  ]\n}", []string{
			`keys.json:2:15: error: want string, got number`,
			`keys.json:4:32: error: want one of message, client, happening; known here: client, happening, message`,
		}},
		{"keys.toml", "ack = 3\n[inbound]\nadapter = \"a\"\n[[outbound]]\nadapter = \"b\"\n[[outbound]]\nadaptor = \"c\"\n[outbound.queue]\nevents = 0\n", []string{
			`keys.toml:1:1: error: want string, got number`,
			`keys.toml:7:1: error: unknown key "adaptor"; did you mean "adapter"?`,
			`keys.toml:9:1: error: must be at least 1`,
		}},
		{"syntax.yaml", "inbound:\n  adapter: [a\n", []string{`syntax.yaml:1:1: error: syntax error: did not find expected ',' or ']'`}},
		{"syntax.json", "{\n  \"inbound\": {,}\n}", []string{`syntax.json:2:15: error: syntax error: invalid character ','`}},
		{"syntax.toml", "ack = \"all\n", []string{`syntax.toml:1:11: error: syntax error: toml: basic strings cannot have new lines`}},
		{"behind.json", "{}\n{}", []string{`behind.json:2:1: error: syntax error: something stands behind the value`}},
		{"missing.yaml", "outbound: { adapter: b }\n", []string{`missing.yaml:1:1: error: "inbound" is missing`}},
		{"empty.yaml", "\n", []string{`empty.yaml: error: the file is empty`}},
		{"list.yaml", "- a\n", []string{`list.yaml:1:1: error: want object, got array`}},
		{"two.yaml", "inbound: { adapter: a }\n---\ninbound: { adapter: b }\n", []string{`two.yaml: error: the file holds more than one YAML document`}},
		{"twice.yaml", "inbound: { adapter: a }\ninbound: { adapter: b }\n", []string{`twice.yaml:2:1: error: key "inbound" stands here twice`}},
		{"twice.json", "{\"inbound\": {\"adapter\": \"a\"},\n \"inbound\": {\"adapter\": \"b\"}}", []string{`twice.json:2:2: error: key "inbound" stands here twice`}},
		{"both.yaml", "inbound:\n  adapter: a\n  use: b\n", []string{`both.yaml:3:3: error: "adapter" and "use" exclude each other`}},
		{"neither.yaml", "inbound:\n  name: x\n", []string{`neither.yaml:1:1: error: needs an adapter, or use: with the name of an instance of another file`}},
		{"used.yaml", "inbound: { adapter: a }\noutbound:\n  - use: b\n    config: {}\n", []string{
			`used.yaml:3:5: error: the instance "b" is configured in its own file; beside "use" only the edge's keys may stand here`}},
		{"names.yaml", "inbound: { adapter: a, name: x }\noutbound: { adapter: b, name: x }\n", []string{`names.yaml:2:25: error: two instances of this file are named "x"`}},
		{"retry.yaml", "inbound: { adapter: a }\noutbound:\n  - { adapter: b, retry: { for: 0 } }\n  - { adapter: c, retry: { fore: 1h, in_flight: 0 } }\n  - { adapter: d, retry: { max: 5 min } }\n", []string{
			`retry.yaml:3:28: error: want string, got number`,
			`retry.yaml:4:28: error: unknown key "fore"; did you mean "for"?`,
			`retry.yaml:4:38: error: must be at least 1`,
			`retry.yaml:5:28: error: "5 min" is not of the form wanted here; write for example 250ms, 10s, 24h`,
		}},
		{"retries.yaml", "inbound: { adapter: a }\noutbound:\n  - { adapter: b, retry: { for: 0s } }\n  - adapter: c\n    retry:\n      first: 2m\n", []string{
			`retries.yaml:3:28: error: must be longer than 0: leave retry out to try every event once`,
			`retries.yaml:5:5: error: is shorter than the first wait, 2m0s`,
		}},
		{"wrong.yaml", "inbound: nothing\n", []string{`wrong.yaml:1:1: error: want object or array`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, brief(read(t, test.name, test.content).Findings)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	dir := write(t, map[string]string{"large.yaml": strings.Repeat("# comment\n", maxFileBytes/10+1), "folder.yaml/x": ""})
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	for name, want := range map[string]string{
		filepath.Join(dir, "large.yaml"):                                           "larger than",
		filepath.Join(dir, "folder.yaml"):                                          "no regular file",
		filepath.Join(dir, "none.yaml"):                                            "no such file",
		filepath.Join(write(t, map[string]string{"bomb.yaml": bomb}), "bomb.yaml"): "holds more than",
	} {
		f := ReadRoute(name, Environment{})
		if !f.Findings.Failed() || !strings.Contains(f.Findings[0].Message, want) {
			t.Errorf("%s: %v", name, f.Findings)
		}
	}
}

func TestExpand(t *testing.T) {
	dir := write(t, map[string]string{"secrets/app": "from file\r\n", "route.yaml": `
inbound:
  adapter: a
  config:
    text: "x${env:ONE}y"
    default: ${env:NONE:-fallback}
    empty: ${env:EMPTY:-fallback}
    number: ${env:NUMBER}
    quoted: "${env:NUMBER}"
    truth: ${env:TRUTH}
    file: "${file:secrets/app}"
    escaped: "$${env:ONE}"
    hostile: "${env:HOSTILE}"
    list: [ "${env:ONE}" ]
`})
	variables := map[string]string{"ONE": "1", "EMPTY": "", "NUMBER": "8080", "TRUTH": "true", "HOSTILE": `", "x": {`}
	environment := Environment{Lookup: func(name string) (string, bool) { v, ok := variables[name]; return v, ok }}
	f := ReadRoute(filepath.Join(dir, "route.yaml"), environment)
	if f.Findings != nil {
		t.Fatal(f.Findings)
	}
	want := map[string]any{
		"text": "x1y", "default": "fallback", "empty": "fallback", "number": 8080.0, "quoted": "8080", "truth": true,
		"file": "from file", "escaped": "${env:ONE}", "hostile": `", "x": {`, "list": []any{"1"},
	}
	if diff := cmp.Diff(want, f.Route.Inbound[0].Config); diff != "" {
		t.Error(diff)
	}
	if want := []string{filepath.Join(dir, "secrets/app")}; !cmp.Equal(want, f.Files) {
		t.Errorf("files %v", f.Files)
	}
}

func TestExpandFindings(t *testing.T) {
	content := "inbound:\n  adapter: a\n  config:\n    a: ${env:BRIDGE_TEST_NONE}\n    b: \"${file:none}\"\n    c: \"${what:x}\"\n    d: \"${env:X\"\n"
	want := []string{
		"x.yaml:4:5: error: the environment variable BRIDGE_TEST_NONE is not set; set it, or write ${env:BRIDGE_TEST_NONE:-default}",
		"x.yaml:5:5: error: the file none named here: cannot be read: no such file or directory",
		"x.yaml:6:5: error: ${what:x} is neither ${env:NAME} nor ${file:path}; write $${ for the characters themselves",
		"x.yaml:7:5: error: ${ without }; write $${ for the characters themselves",
	}
	if diff := cmp.Diff(want, brief(read(t, "x.yaml", content).Findings)); diff != "" {
		t.Error(diff)
	}
	dir := write(t, map[string]string{"x.yaml": strings.Join(strings.Split(content, "\n")[:5], "\n")})
	if f := ReadRoute(filepath.Join(dir, "x.yaml"), Environment{NoSecrets: true}); f.Findings != nil {
		t.Errorf("without secrets: %v", f.Findings)
	}
}

func TestHashCoversTheFilesNamed(t *testing.T) {
	dir := write(t, map[string]string{"secret": "one", "x.yaml": "inbound: { adapter: a, config: { s: \"${file:secret}\" } }\n"})
	path := filepath.Join(dir, "x.yaml")
	first := ReadRoute(path, Environment{}).Hash
	if ReadRoute(path, Environment{}).Hash != first {
		t.Error("the hash of the same content differs")
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("two"), 0o644); err != nil {
		t.Fatal(err)
	}
	if ReadRoute(path, Environment{}).Hash == first {
		t.Error("a changed secret leaves the hash as it was")
	}
}

func TestFolder(t *testing.T) {
	one := "inbound: { adapter: a }\n"
	dir := write(t, map[string]string{
		"20-b.yaml": "inbound: { adapter: a, name: shared }\noutbound: [{ use: shared }, { use: later }]\n",
		"10-a.yml":  one, "30-c.json": `{"inbound": {"adapter": "a", "name": "shared"}}`, "40-a.toml": "inbound.adapter = \"a\"\n",
		".hidden.yaml": one, "x.yaml~": one, "#x.yaml#": one, "readme.md": "", ".x.yaml.swp": one,
	})
	files, err := ReadFolder(dir, Environment{})
	if err != nil {
		t.Fatal(err)
	}
	var names, findings []string
	for _, f := range files {
		names = append(names, filepath.Base(f.Path)+" "+f.Name)
		findings = append(findings, brief(f.Findings)...)
	}
	if diff := cmp.Diff([]string{"10-a.yml a", "20-b.yaml b", "30-c.json c", "40-a.toml a"}, names); diff != "" {
		t.Error(diff)
	}
	want := []string{
		`20-b.yaml:2:31: warning: no file defines an instance "later"; until one does, events to it are refused`,
		fmt.Sprintf(`30-c.json:1:30: error: instance "shared" is defined by %s already; give this one another name`, filepath.Join(dir, "20-b.yaml")),
		fmt.Sprintf(`40-a.toml: error: route "a" is defined by %s already; rename this file`, filepath.Join(dir, "10-a.yml")),
	}
	for i := range findings {
		findings[i] = strings.Replace(findings[i], "40-a.toml:1:1", "40-a.toml", 1)
	}
	if diff := cmp.Diff(want, findings); diff != "" {
		t.Error(diff)
	}
	if _, err := ReadFolder(filepath.Join(dir, "none"), Environment{}); err == nil {
		t.Error("a folder that is not there reads")
	}
}

func TestCheckConfig(t *testing.T) {
	f := read(t, "x.yaml", "inbound:\n  - adapter: a\n    config:\n      listen: \"\"\n      limits: { max_body: lots }\n      timeut: 1s\n")
	schema := []byte(`{"type":"object","additionalProperties":false,"required":["realm"],"properties":{
		"listen":{"type":"string","minLength":1},"realm":{"type":"string"},"timeout":{"type":"string"},
		"limits":{"type":"object","properties":{"max_body":{"oneOf":[{"type":"integer"},{"type":"string","pattern":"^[0-9]+$","examples":["64KiB"]}]}}}}}`)
	want := []string{
		`x.yaml:3:5: error: "realm" is missing`,
		`x.yaml:4:7: error: must not be empty`,
		`x.yaml:5:17: error: "lots" is not of the form wanted here; write for example 64KiB`,
		`x.yaml:6:7: error: unknown key "timeut"; did you mean "timeout"?`,
	}
	findings, sound := f.CheckConfig(f.InboundPath(0), &f.Route.Inbound[0].Instance, schema)
	if string(sound) != `{"limits":{}}` {
		t.Errorf("what is left of the configuration: %s", sound)
	}
	findings.Sort()
	if diff := cmp.Diff(want, brief(findings)); diff != "" {
		t.Error(diff)
	}
}

func TestBridge(t *testing.T) {
	dir := write(t, map[string]string{"bridge.yaml": "node: n1\nplugin_dirs: [plugins, /opt/plugins]\ndrain_timeout: 3s\nlog: { level: debug }\n"})
	b, findings := ReadBridge(filepath.Join(dir, "bridge.yaml"), true, Environment{})
	if findings != nil {
		t.Fatal(findings)
	}
	if b.Node != "n1" || b.DrainTimeout.Std().String() != "3s" || b.Log != (Log{"debug", "text"}) ||
		!cmp.Equal(b.PluginDirs, []string{filepath.Join(dir, "plugins"), "/opt/plugins"}) || b.ConfDir != filepath.Join(dir, "conf.d") {
		t.Errorf("%+v", b)
	}
	if b, findings := ReadBridge(filepath.Join(dir, "none.yaml"), false, Environment{}); findings != nil || b.Log.Level != "info" {
		t.Errorf("%+v %v", b, findings)
	}
	if _, findings := ReadBridge(filepath.Join(dir, "none.yaml"), true, Environment{}); !findings.Failed() {
		t.Error("a file that is required and not there reads")
	}
	bad := write(t, map[string]string{"b.yaml": "log: { level: loud }\nnods: 1\n"})
	_, findings = ReadBridge(filepath.Join(bad, "b.yaml"), true, Environment{})
	want := []string{
		"b.yaml:1:8: error: want one of debug, info, warn, error; known here: debug, error, info, warn",
		`b.yaml:2:1: error: unknown key "nods"; did you mean "node"?`,
	}
	if diff := cmp.Diff(want, brief(findings)); diff != "" {
		t.Error(diff)
	}
}

func TestBridgeSupervisionAndLock(t *testing.T) {
	dir := write(t, map[string]string{
		"bare.yaml": "node: n1\n",
		"full.yaml": "admin: 127.0.0.1:7070\nplugins_lock: locks/plugins.lock\ndrain_time: 3s\nsupervision: { max_delay: 1s, give_up: 3 }\n",
		"bad.yaml":  "admin: nowhere\nsupervision:\n  give_up: 0\n",
		"zero.yaml": "supervision:\n  max_delay: 100ms\n  check_every: 0s\n",
	})
	read := func(name string) (Bridge, Findings) {
		return ReadBridge(filepath.Join(dir, name), true, Environment{})
	}
	second := settings.Duration(time.Second)
	defaults := Supervision{
		FirstDelay: second / 4, MaxDelay: 30 * second, Healthy: 60 * second, GiveUp: 15,
		RefuseAfter: 5 * second, StartTimeout: 15 * second, CheckEvery: 5 * second,
	}
	b, findings := read("bare.yaml")
	if lock, required := b.Lock(); findings != nil || required || lock != filepath.Join(dir, "plugins.lock") {
		t.Errorf("%q %v %v", lock, required, findings)
	}
	if diff := cmp.Diff(defaults, b.Supervision); diff != "" || b.Admin != "" || b.DrainTime != 10*second {
		t.Errorf("%+v\n%s", b, diff)
	}
	b, findings = read("full.yaml")
	if lock, required := b.Lock(); findings != nil || !required || lock != filepath.Join(dir, "locks", "plugins.lock") {
		t.Errorf("%q %v %v", lock, required, findings)
	}
	defaults.MaxDelay, defaults.GiveUp = second, 3
	if diff := cmp.Diff(defaults, b.Supervision); diff != "" || b.Admin != "127.0.0.1:7070" || b.DrainTime != 3*second {
		t.Errorf("%+v\n%s", b, diff)
	}
	for name, want := range map[string][]string{
		"bad.yaml": {
			`bad.yaml:1:1: error: "nowhere" is not of the form wanted here; write for example 127.0.0.1:7070, unix:/run/bridge/admin.sock`,
			"bad.yaml:3:3: error: must be at least 1",
		},
		"zero.yaml": {
			"zero.yaml:2:3: error: must be at least first_delay, which is 250ms",
			"zero.yaml:3:3: error: must be more than 0",
		},
	} {
		_, findings := read(name)
		if diff := cmp.Diff(want, brief(findings)); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFullSchemaCompiles(t *testing.T) {
	schema, err := FullSchema([]core.Info{
		{Name: "a", Source: true, Config: []byte(`{"$schema":"x","type":"object","required":["listen"]}`)},
		{Name: "b", Sink: true, Config: []byte(`{"type":"object","additionalProperties":false}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	violations, err := checkSchema(schema, map[string]any{
		"inbound": map[string]any{"adapter": "a", "config": map[string]any{}}, "outbound": []any{map[string]any{"adapter": "b", "config": map[string]any{}}},
	})
	if err != nil || len(violations) != 1 || violations[0].path != "/inbound/config" {
		t.Errorf("%v %v", violations, err)
	}
}

// What a file leaves out of retry has its default, as the schema says it.
func TestRetryDefaults(t *testing.T) {
	for retry, want := range map[string]Retry{
		"{}":                                 {For: seconds(290), First: seconds(1), Max: seconds(60), InFlight: 1},
		"{ for: 1h, max: 5m, in_flight: 9 }": {For: seconds(3600), First: seconds(1), Max: seconds(300), InFlight: 9},
	} {
		f := read(t, "r.yaml", "inbound: { adapter: a }\noutbound: { adapter: b, retry: "+retry+" }\n")
		if f.Findings != nil || f.Route.Outbound[0].Retry == nil {
			t.Fatalf("%s: %v", retry, f.Findings)
		}
		if diff := cmp.Diff(want, *f.Route.Outbound[0].Retry); diff != "" {
			t.Errorf("%s: %s", retry, diff)
		}
	}
	if f := read(t, "r.yaml", "inbound: { adapter: a }\noutbound: { adapter: b }\n"); f.Route.Outbound[0].Retry != nil {
		t.Error("a route retries unasked")
	}
}

func seconds(n int) settings.Duration { return settings.Duration(time.Duration(n) * time.Second) }
