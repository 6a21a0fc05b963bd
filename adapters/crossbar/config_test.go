package crossbar

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pushbridge/bridge/core"
)

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Adapter{}.Describe().Config))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", document); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("config.json")
}

func fits(t testing.TB, s *jsonschema.Schema, raw json.RawMessage) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestConfigDefaults(t *testing.T) {
	p, err := decode(settingsOf(t))
	if err != nil {
		t.Fatal(err)
	}
	if p.Type != "pusher" || p.TimestampLimit != 300 || p.PostBodyLimit != 0 || p.PublishTimeout.Std() != 5*time.Second ||
		p.MaxURILength != 1024 || p.ReplayMax != 200_000 || p.ReplayTTL.Std() != 24*time.Hour || p.SuccessStatus != 0 ||
		p.ErrorStatus != "compat" || p.EmptyEligible != "nobody" || p.Replay != "on" || p.Limits.MaxBody != 1<<20 || p.RequireIP != nil {
		t.Errorf("%+v", p.config)
	}
	bare, err := decode(json.RawMessage(`{"listen":":1","realm":"r","role":"a"}`))
	if err != nil || bare.Path != "/" {
		t.Errorf("path %q, %v", bare.Path, err)
	}
}

// TestConfigPlaces reads options beside realm and under options alike.
func TestConfigPlaces(t *testing.T) {
	for _, placed := range []string{
		`{"key":"k","secret":"s","timestamp_delta_limit":0,"post_body_limit":10,"require_ip":["10.0.0.0/8"],"debug":true,"success_status":200,"publish_timeout":"2s"}`,
		`{"options":{"key":"k","secret":"s","timestamp_delta_limit":0,"post_body_limit":10,"require_ip":["10.0.0.0/8"],"debug":true,"success_status":200,"publish_timeout":"2s"}}`,
		`{"key":"k","timestamp_delta_limit":0,"debug":true,"success_status":200,"options":{"secret":"s","post_body_limit":10,"require_ip":["10.0.0.0/8"],"publish_timeout":"2s"}}`,
	} {
		raw := settingsOf(t, placed)
		if err := fits(t, schema(t), raw); err != nil {
			t.Errorf("%s: %v", placed, err)
		}
		p, err := decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", placed, err)
		}
		keys := p.keys()
		if len(keys) != 1 || keys[0].Key != "k" || keys[0].Secret != "s" || p.TimestampLimit != 0 || p.PostBodyLimit != 10 ||
			!slices.Equal(p.RequireIP, []string{"10.0.0.0/8"}) || !p.Debug || p.SuccessStatus != 200 || p.PublishTimeout.Std() != 2*time.Second || p.ReplayMax != 200_000 {
			t.Errorf("%s: %+v", placed, p.config)
		}
	}
}

func TestValidate(t *testing.T) {
	const keyed = `"key":"k","secret":"s"`
	for _, test := range []struct {
		config string
		// found are the wanted findings: a path, and "!" in front of a warning's.
		found string
		// unschematic says that the schema refuses it already.
		unschematic bool
	}{
		{config: `{}`},
		{config: `{` + keyed + `}`},
		{config: `{"keys":[{"key":"a","secret":"1","previous_secret":"0","role":"r","topics":["com."]},{"key":"b","secret":"2"}]}`},
		{config: `{"success_status":202,"replay":"idempotent","cors_origins":["https://a.example","null"],` + keyed + `}`},
		{config: `{"success_status":"auto","path":"/a/b/"}`},
		{config: `{"realm":""}`, found: "/realm", unschematic: true},
		{config: `{"role":""}`, found: "/role", unschematic: true},
		{config: `{"realm":"","role":"","path":"push","type":"x"}`, found: "/path /realm /role /type", unschematic: true},
		{config: `{"key":"k"}`, found: "/key"},
		{config: `{"secret":"s"}`, found: "/secret"},
		{config: `{"key":"k","secret":""}`, found: "/secret"},
		{config: `{"key":"","secret":"s"}`, found: "/key"},
		{config: `{"key":"","secret":""}`, found: "/key /secret"},
		{config: `{"options":{"key":"k"}}`, found: "/options/key"},
		{config: `{"options":{"key":"k","secret":""}}`, found: "/options/secret"},
		{config: `{"key":"k","options":{"secret":""}}`, found: "/options/secret"},
		{config: `{"key":null,"secret":null}`, found: "/key /secret", unschematic: true},
		{config: `{"keys":[]}`, found: "/keys"},
		{config: `{"keys":[{"key":"a","secret":"1"}],` + keyed + `}`, found: "/keys"},
		{config: `{"keys":[{"key":"","secret":""},{"key":"a","secret":"1"},{"key":"a","secret":"2","topics":[]},{"key":"b","secret":"3","topics":["x",""]}]}`,
			found: "/keys/0/key /keys/0/secret /keys/2/key /keys/2/topics /keys/3/topics/1"},
		{config: `{"options":{"keys":[{"key":"a","secret":""}]}}`, found: "/options/keys/0/secret"},
		{config: `{"keys":[{"key":"a"}]}`, found: "/keys/0/secret", unschematic: true},
		{config: `{"require_ip":[]}`, found: "/require_ip"},
		{config: `{"require_ip":["127.0.0.1","::1","10.0.0.0/8","2001:db8::/32","192.168.0.0/255.255.0.0","10.0.0.0/0.255.255.255","192.168.1.1/255.255.255.0"]}`},
		{config: `{"require_ip":["127.0.0.1","example.com","10.0.0.0/33","10.0.0.0/255.0.255.0"]}`, found: "/require_ip/1 /require_ip/2 /require_ip/3"},
		{config: `{"options":{"require_ip":["localhost"]}}`, found: "/options/require_ip/0"},
		{config: `{"timestamp_delta_limit":0}`, found: "!/timestamp_delta_limit"},
		{config: `{"options":{"timestamp_delta_limit":0}}`, found: "!/options/timestamp_delta_limit"},
		{config: `{"timestamp_delta_limit":86400,"post_body_limit":1048576}`},
		{config: `{"timestamp_delta_limit":86401}`, found: "/timestamp_delta_limit", unschematic: true},
		{config: `{"timestamp_delta_limit":-1}`, found: "/timestamp_delta_limit", unschematic: true},
		{config: `{"post_body_limit":1048577}`, found: "/post_body_limit", unschematic: true},
		{config: `{"post_body_limit":-1}`, found: "/post_body_limit", unschematic: true},
		{config: `{"max_uri_length":0}`, found: "/max_uri_length", unschematic: true},
		{config: `{"publish_timeout":"0s"}`, found: "/publish_timeout"},
		{config: `{"publish_timeout":"2m"}`, found: "/publish_timeout"},
		{config: `{"replay_ttl":"0s"}`, found: "/replay_ttl"},
		{config: `{"replay_max":0}`, found: "/replay_max", unschematic: true},
		{config: `{"max_in_flight":0}`, found: "/max_in_flight", unschematic: true},
		{config: `{"rate_limit":-1}`, found: "/rate_limit", unschematic: true},
		{config: `{"strict_seq":true}`, found: "!/strict_seq"},
		{config: `{"require_tls":true}`, found: "!/require_tls"},
		{config: `{"require_tls":true,"trusted_proxies":["10.0.0.0/8"]}`},
		{config: `{"cors_origins":["*"],` + keyed + `}`},
		{config: `{"cors_origins":["*"]}`, found: "!/cors_origins/0"},
		{config: `{"cors_origins":["*","https://a.example"],` + keyed + `}`, found: "/cors_origins/0"},
		{config: `{"cors_origins":["a.example","https://a.example/","https://*.example"]}`, found: "/cors_origins/0 /cors_origins/1 /cors_origins/2"},
		{config: `{"debug":true,"options":{"debug":true}}`, found: "/options/debug"},
		{config: `{"key":"k","secret":"s","options":{"key":"k","secret":"s"}}`, found: "/options/key /options/secret"},
		{config: `{"listen":"nowhere"}`, found: "/listen"},
		{config: `{"trusted_proxies":["proxy"]}`, found: "/trusted_proxies/0"},
		{config: `{"path":"/{id}"}`, found: "/path"},
		{config: `{"path":"/a//b"}`, found: "/path"},
		{config: `{"path":"/a/.."}`, found: "/path"},
	} {
		raw := settingsOf(t, test.config)
		if err := fits(t, schema(t), raw); (err != nil) != test.unschematic {
			t.Errorf("%s: schema says %v", test.config, err)
		}
		validation := Adapter{}.Validate(raw)
		var found []string
		for _, f := range validation.Findings {
			mark := ""
			if f.Severity == core.SeverityWarning {
				mark = "!"
			}
			found = append(found, mark+f.Path)
			if f.Message == "" {
				t.Errorf("%s: %s has no message", test.config, f.Path)
			}
		}
		slices.Sort(found)
		if got := strings.Join(found, " "); got != test.found {
			t.Errorf("%s: findings %s, want %s", test.config, got, test.found)
		}
		instance, err := Adapter{}.Open(t.Context(), "n", raw, newLoggedHost(t))
		if (err != nil) != validation.Failed() {
			t.Errorf("%s: Open says %v", test.config, err)
		}
		if err == nil {
			if err := instance.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestSchemaRefuses is what the bridge finds before the adapter is asked.
func TestSchemaRefuses(t *testing.T) {
	for _, config := range []string{
		`{"no_such_key":1}`, `{"options":{"no_such_key":1}}`, `{"options":{"realm":"r"}}`, `{"options":[]}`, `{"type":"webhook"}`,
		`{"success_status":201}`, `{"success_status":"200"}`, `{"error_status":"x"}`, `{"empty_eligible":"x"}`, `{"replay":"off"}`,
		`{"require_ip":"10.0.0.0/8"}`, `{"keys":{"a":"b"}}`, `{"timestamp_delta_limit":"300"}`, `{"publish_timeout":5}`, `{"debug":"yes"}`,
	} {
		raw := settingsOf(t, config)
		if fits(t, schema(t), raw) == nil {
			t.Errorf("%s fits the schema", config)
		}
	}
	for _, missing := range []string{`{"listen":":1","realm":"r"}`, `{"listen":":1","role":"r"}`, `{"realm":"r","role":"r"}`} {
		if fits(t, schema(t), json.RawMessage(missing)) == nil {
			t.Errorf("%s fits the schema", missing)
		}
		if v := (Adapter{}).Validate(json.RawMessage(missing)); !v.Failed() {
			t.Errorf("%s: no finding", missing)
		}
	}
}

func TestSchemaMarksSecrets(t *testing.T) {
	var s struct {
		Properties map[string]struct {
			WriteOnly  bool
			Properties map[string]struct{ WriteOnly bool }
			Items      struct {
				Properties map[string]struct{ WriteOnly bool }
			}
		}
	}
	if err := json.Unmarshal(Adapter{}.Describe().Config, &s); err != nil {
		t.Fatal(err)
	}
	if !s.Properties["secret"].WriteOnly || !s.Properties["options"].Properties["secret"].WriteOnly ||
		!s.Properties["keys"].Items.Properties["secret"].WriteOnly || !s.Properties["keys"].Items.Properties["previous_secret"].WriteOnly {
		t.Errorf("%+v", s)
	}
}

func TestValidateAddresses(t *testing.T) {
	for path, want := range map[string]string{"/": "/", "/push": "/push /push/", "/push/": "/push /push/"} {
		v := Adapter{}.Validate(settingsOf(t, `{"path":"`+path+`","tls":{"cert":"c","key":"k"}}`))
		if len(v.Addresses) != 1 || v.Addresses[0].Listen != "127.0.0.1:0" || !v.Addresses[0].TLS || strings.Join(v.Addresses[0].Paths, " ") != want {
			t.Errorf("%s: %+v", path, v.Addresses)
		}
	}
	if v := (Adapter{}).Validate(json.RawMessage(`{"realm":5}`)); !v.Failed() {
		t.Error("a wrong type is no finding")
	}
	if v := (Adapter{}).Validate(json.RawMessage(`[`)); !v.Failed() {
		t.Error("broken JSON is no finding")
	}
}
