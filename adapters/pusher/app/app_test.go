package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// holder is a configuration with apps.
type holder struct {
	Apps []Config `json:"apps" jsonschema:"required,minItems=1"`
}

func decode(t testing.TB, apps string) []Config {
	t.Helper()
	h, err := settings.Decode[holder](json.RawMessage(`{"apps":` + apps + `}`))
	if err != nil {
		t.Fatalf("%s: %v", apps, err)
	}
	return h.Apps
}

func TestDefaults(t *testing.T) {
	c := decode(t, `[{"id":"a","key":"k","secret":"s"}]`)[0]
	want := Config{
		ID: "a", Key: c.Key, Secret: c.Secret, Enabled: true,
		UserAuthentication: true, WatchlistWindow: duration("100ms"), WatchlistOfflineDelay: duration("3s"),
		SubscriptionError: "subscription_error", ActivityTimeout: duration("120s"), CacheTTL: duration("30m"),
		Happenings:        []string{"channel_occupied", "channel_vacated", "member_added", "member_removed", "cache_miss", "subscription_count"},
		LeaveDelay:        duration("3s"),
		IdempotencyWindow: duration("2m"), TimestampWindow: duration("600s"),
		Limits: Limits{
			ChannelsPerEvent: 100, EventsPerBatch: 10, EventName: 200, EventData: 10240, ChannelName: 200, UserID: 200, IdempotencyKey: 128,
			ChannelsPerConnection: 100, PresenceMembers: 100, PresenceMember: 2048, ClientEventsPerSecond: 10, ClientEventData: 10240, Watchlist: 100, Frame: 102400,
		},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
	}
	if *c.Key != "k" || string(*c.Secret) != "s" {
		t.Errorf("%v %v", *c.Key, *c.Secret)
	}
	var report settings.Report
	Check([]Config{c}, "/apps", &report)
	if report.Findings != nil {
		t.Errorf("the defaults are wrong: %v", report.Findings)
	}
}

func duration(text string) settings.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return settings.Duration(d)
}

func TestID(t *testing.T) {
	for text, want := range map[string]ID{`"a"`: "a", `4`: "4", `12345678901234567890`: "12345678901234567890", `"4"`: "4", `-1`: "-1"} {
		if c := decode(t, `[{"id":`+text+`}]`); c[0].ID != want {
			t.Errorf("%s: %q", text, c[0].ID)
		}
	}
	for _, text := range []string{`null`, `true`, `[]`, `{}`} {
		if _, err := settings.Decode[holder](json.RawMessage(`{"apps":[{"id":` + text + `}]}`)); err == nil {
			t.Errorf("%s is taken for an id", text)
		}
	}
}

func TestCheck(t *testing.T) {
	for apps, want := range map[string]string{
		`[]`: "/apps",
		`[{"id":"a","key":"k","secret":"s"},{"id":4,"key":"l","secret":"s"}]`:   "",
		`[{"id":"","key":"k","secret":"s"}]`:                                    "/apps/0/id",
		`[{"id":"a","key":"k","secret":"s"},{"id":"a","key":"l","secret":"s"}]`: "/apps/1/id",
		`[{"id":"a","key":"k","secret":"s"},{"id":"b","key":"k","secret":"t"}]`: "/apps/1/key",
		`[{"id":"a"}]`:                         "/apps/0",
		`[{"id":"a","keys":[]}]`:               "/apps/0",
		`[{"id":"a","key":"k"}]`:               "/apps/0/key",
		`[{"id":"a","secret":"k"}]`:            "/apps/0/secret",
		`[{"id":"a","key":"","secret":"s"}]`:   "/apps/0/key",
		`[{"id":"a","key":"a:b","secret":""}]`: "/apps/0/key /apps/0/secret",
		`[{"id":"a","key":"k","secret":"s","keys":[{"key":"l","secret":"s"}]}]`:                                                        "/apps/0/keys",
		`[{"id":"a","keys":[{"key":"k","secret":"s"},{"key":"k","secret":"t"},{"key":"m","secret":""}]}]`:                              "/apps/0/keys/1/key /apps/0/keys/2/secret",
		`[{"id":"a","keys":[{"key":"k","secret":"s","enabled":false}]}]`:                                                               "warning /apps/0/keys",
		`[{"id":"a","key":"k","secret":"s","allowed_origins":["localhost:*","https://a.b","null","*"]}]`:                               "",
		`[{"id":"a","key":"k","secret":"s","allowed_origins":["","[a"]}]`:                                                              "/apps/0/allowed_origins/0 /apps/0/allowed_origins/1",
		`[{"id":"a","key":"k","secret":"s","happenings":[]}]`:                                                                          "",
		`[{"id":"a","key":"k","secret":"s","happenings":["cache_miss","nonsense"]}]`:                                                   "/apps/0/happenings/1",
		`[{"id":"a","key":"k","secret":"s","subscription_error":"x"}]`:                                                                 "/apps/0/subscription_error",
		`[{"id":"a","key":"k","secret":"s","activity_timeout":"1500ms"}]`:                                                              "/apps/0/activity_timeout",
		`[{"id":"a","key":"k","secret":"s","activity_timeout":"0","cache_ttl":"0"}]`:                                                   "/apps/0/activity_timeout /apps/0/cache_ttl",
		`[{"id":"a","key":"k","secret":"s","leave_delay":"0","timestamp_window":"0","idempotency_window":"0","watchlist_window":"0"}]`: "",
		`[{"id":"a","key":"k","secret":"s","timestamp_window":"9000h"}]`:                                                               "/apps/0/timestamp_window",
		`[{"id":"a","key":"k","secret":"s","limits":{"event_data":0,"frame":0,"event_name":99999}}]`:                                   "/apps/0/limits/event_name /apps/0/limits/event_data /apps/0/limits/frame",
		`[{"id":"a","key":"k","secret":"s","limits":{"event_data":1000000,"frame":"1MiB","connections":5}}]`:                           "",
	} {
		var report settings.Report
		Check(decode(t, apps), "/apps", &report)
		var got []string
		for _, f := range report.Findings {
			if f.Severity == core.SeverityWarning {
				f.Path = "warning " + f.Path
			}
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", apps, report.Findings, want)
		}
	}
}

// TestSchema has the schema say no where Check need not.
func TestSchema(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(settings.Schema[holder]()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("s.json", document); err != nil {
		t.Fatal(err)
	}
	schema := compiler.MustCompile("s.json")
	for app, fits := range map[string]bool{
		`{"id":"a","key":"k","secret":"s"}`:                           true,
		`{"id":4,"keys":[{"key":"k","secret":"s"}],"happenings":[]}`:  true,
		`{"id":4,"happenings":["cache_miss"],"leave_delay":"0"}`:      true,
		`{"id":4,"limits":{"frame":"1MiB","presence_member":5}}`:      true,
		`{"key":"k","secret":"s"}`:                                    false,
		`{"id":""}`:                                                   false,
		`{"id":true}`:                                                 false,
		`{"id":"a","happenings":["other"]}`:                           false,
		`{"id":"a","subscription_error":"x"}`:                         false,
		`{"id":"a","limits":{"event_data":0}}`:                        false,
		`{"id":"a","limits":{"event_datum":5}}`:                       false,
		`{"id":"a","capacity":5}`:                                     false,
		`{"id":"a","keys":[{"key":"k"}]}`:                             false,
		`{"id":"a","keys":[{"key":"k","secret":"s","enabled":null}]}`: false,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"apps":[` + app + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != fits {
			t.Errorf("%s: %v", app, err)
		}
	}
}

func TestSet(t *testing.T) {
	s := NewSet(decode(t, `[
		{"id":"a","keys":[{"key":"off","secret":"0","enabled":false},{"key":"k1","secret":"1"},{"key":"k2","secret":"2"}],"happenings":["cache_miss"]},
		{"id":"b","key":"k3","secret":"3","enabled":false}]`))
	a, ok := s.ByID("a")
	if !ok || len(s.All()) != 2 || s.All()[0] != a {
		t.Fatalf("%v", s.All())
	}
	if len(a.Pairs) != 2 || a.Pairs[0].Key != "k1" || a.Pairs[0].Secret.Sign(nil) == a.Pairs[1].Secret.Sign(nil) {
		t.Errorf("pairs %v", a.Pairs)
	}
	if !a.Emits(CacheMiss) || a.Emits(MemberAdded) {
		t.Errorf("happenings %v", a.Happenings)
	}
	for key, id := range map[string]ID{"k1": "a", "k2": "a", "k3": "b"} {
		if owner, pair, ok := s.ByKey(key); !ok || owner.ID != id || pair.Key != key {
			t.Errorf("key %s: %v %v", key, owner, ok)
		}
	}
	for _, key := range []string{"off", "", "a"} {
		if _, _, ok := s.ByKey(key); ok {
			t.Errorf("key %q is found", key)
		}
	}
	if _, ok := s.ForSpace("realm1"); ok {
		t.Error("a space that is no app")
	}
	if b, ok := s.ForSpace("b"); !ok || b.Enabled {
		t.Error("the space of an app")
	}
	if only, ok := NewSet(decode(t, `[{"id":"a","key":"k","secret":"s"}]`)).ForSpace("realm1"); !ok || only.ID != "a" {
		t.Error("one app serves every space")
	}
}

func TestCompare(t *testing.T) {
	before := NewSet(decode(t, `[
		{"id":"gone","key":"k0","secret":"0"},
		{"id":"off","key":"k1","secret":"1"},
		{"id":"stays","keys":[{"key":"k2","secret":"2"},{"key":"k3","secret":"3"},{"key":"k4","secret":"4"}]},
		{"id":"was-off","key":"k5","secret":"5","enabled":false}]`))
	after := NewSet(decode(t, `[
		{"id":"new","key":"k9","secret":"9"},
		{"id":"off","key":"k1","secret":"1","enabled":false},
		{"id":"stays","client_events":true,"keys":[{"key":"k2","secret":"2"},{"key":"k3","secret":"3","enabled":false}]},
		{"id":"was-off","key":"k5","secret":"5","enabled":false}]`))
	c := Compare(before, after)
	if !slices.Equal(c.Removed, []string{"gone"}) || !slices.Equal(c.Disabled, []string{"off"}) || !slices.Equal(c.Revoked, []string{"k3", "k4"}) {
		t.Errorf("%+v", c)
	}
	if c := Compare(after, after); !reflect.DeepEqual(c, Changes{}) {
		t.Errorf("%+v", c)
	}
}

// TestSecretsStaySecret prints a set.
func TestSecretsStaySecret(t *testing.T) {
	configs := decode(t, `[{"id":"a","key":"k","secret":"s3cr3t"},{"id":"b","keys":[{"key":"l","secret":"s3cr3t"}]}]`)
	encoded, err := json.Marshal(configs)
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", configs, configs, configs, encoded); strings.Contains(text, "s3cr3t") {
		t.Error(text)
	}
}
