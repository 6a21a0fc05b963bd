package settings

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// embedded is what several configurations have in common.
type embedded struct {
	Listen string `json:"listen" jsonschema:"required,minLength=1" jsonschema_description:"Where to listen."`
	Limits limits `json:"limits,omitempty"`
}

type limits struct {
	Body Size     `json:"body" jsonschema_extras:"default=1MiB"`
	Time Duration `json:"time" jsonschema:"default=10s"`
}

type app struct {
	ID     string   `json:"id" jsonschema:"required"`
	Secret Secret   `json:"secret"`
	Weight int      `json:"weight" jsonschema:"default=7,minimum=1"`
	Tags   []string `json:"tags,omitempty"`
}

type needy struct {
	Cert string `json:"cert" jsonschema:"required"`
	Mode string `json:"mode" jsonschema:"default=strict"`
}

type sample struct {
	embedded
	Mode  string            `json:"mode" jsonschema:"default=fast,enum=fast,enum=slow"`
	Ratio float64           `json:"ratio" jsonschema:"default=0.5"`
	On    bool              `json:"on" jsonschema:"default=true"`
	Apps  []app             `json:"apps,omitempty"`
	Named map[string]app    `json:"named,omitempty"`
	Text  map[string]string `json:"text,omitempty"`
	TLS   *needy            `json:"tls,omitempty"`
	Big   uint64            `json:"big,omitempty"`
	Maybe *string           `json:"maybe,omitempty"`
}

func compile(t testing.TB, schema json.RawMessage) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("s.json", document); err != nil {
		t.Fatal(err)
	}
	return compiler.MustCompile("s.json")
}

func TestSchema(t *testing.T) {
	schema := compile(t, Schema[sample]())
	for config, fits := range map[string]bool{
		`{"listen":":1"}`: true,
		`{"listen":":1","limits":{"body":5,"time":"1m30s"},"mode":"slow","ratio":1,"on":false,"big":18446744073709551615}`:         true,
		`{"listen":":1","apps":[{"id":"a","secret":"s"}],"named":{"x":{"id":"b"}},"text":{"y":"z"},"tls":{"cert":"c"},"maybe":""}`: true,
		`{"listen":":1","limits":{"body":"64 KiB"}}`: true,
		`{}`:                           false,
		`{"listen":""}`:                false,
		`{"listen":5}`:                 false,
		`{"listen":":1","nonsense":1}`: false,
		`{"listen":":1","limits":{"nonsense":1}}`:        false,
		`{"listen":":1","limits":{"body":"5 XB"}}`:       false,
		`{"listen":":1","limits":{"body":-5}}`:           false,
		`{"listen":":1","limits":{"body":1.5}}`:          false,
		`{"listen":":1","limits":{"time":10}}`:           false,
		`{"listen":":1","limits":{"time":"ten"}}`:        false,
		`{"listen":":1","limits":{"time":"-5s"}}`:        false,
		`{"listen":":1","mode":"other"}`:                 false,
		`{"listen":":1","apps":[{}]}`:                    false,
		`{"listen":":1","apps":[{"id":"a","weight":0}]}`: false,
		`{"listen":":1","named":{"x":{}}}`:               false,
		`{"listen":":1","tls":{}}`:                       false,
		`{"listen":":1","maybe":null}`:                   false,
	} {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(config))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); (err == nil) != fits {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestSchemaDescribes(t *testing.T) {
	var s struct {
		Properties map[string]struct {
			Description string
			WriteOnly   bool
			Default     any
			Items       struct {
				Properties map[string]struct{ WriteOnly bool }
			}
		}
	}
	if err := json.Unmarshal(Schema[sample](), &s); err != nil {
		t.Fatal(err)
	}
	if s.Properties["listen"].Description != "Where to listen." || s.Properties["mode"].Default != "fast" {
		t.Errorf("%+v", s)
	}
	if !s.Properties["apps"].Items.Properties["secret"].WriteOnly || s.Properties["apps"].Items.Properties["id"].WriteOnly {
		t.Errorf("%+v", s.Properties["apps"])
	}
}

func TestDecode(t *testing.T) {
	defaults := func(change func(*sample)) sample {
		s := sample{
			embedded: embedded{Listen: ":1", Limits: limits{Body: 1 << 20, Time: Duration(10 * time.Second)}},
			Mode:     "fast", Ratio: 0.5, On: true,
		}
		if change != nil {
			change(&s)
		}
		return s
	}
	empty := ""
	for config, want := range map[string]sample{
		`{"listen":":1"}`:                                               defaults(nil),
		`{"listen":":1","limits":{}}`:                                   defaults(nil),
		`{"listen":":1","limits":{"body":0}}`:                           defaults(func(s *sample) { s.Limits.Body = 0 }),
		`{"listen":":1","limits":{"time":"0"}}`:                         defaults(func(s *sample) { s.Limits.Time = 0 }),
		`{"listen":":1","mode":"slow","ratio":0,"on":false}`:            defaults(func(s *sample) { s.Mode, s.Ratio, s.On = "slow", 0, false }),
		`{"listen":":1","big":18446744073709551615}`:                    defaults(func(s *sample) { s.Big = 18446744073709551615 }),
		`{"listen":":1","maybe":""}`:                                    defaults(func(s *sample) { s.Maybe = &empty }),
		`{"listen":":1","tls":{"cert":"c"}}`:                            defaults(func(s *sample) { s.TLS = &needy{"c", "strict"} }),
		`{"listen":":1","apps":[]}`:                                     defaults(func(s *sample) { s.Apps = []app{} }),
		`{"listen":":1","apps":[{"id":"a","secret":"s"},{"weight":2}]}`: defaults(func(s *sample) { s.Apps = []app{{ID: "a", Secret: "s", Weight: 7}, {Weight: 2}} }),
		`{"listen":":1","named":{"x":{"id":"b"}},"text":{"a":"b"}}`: defaults(func(s *sample) {
			s.Named, s.Text = map[string]app{"x": {ID: "b", Weight: 7}}, map[string]string{"a": "b"}
		}),
	} {
		got, err := Decode[sample](json.RawMessage(config))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v, want %+v", config, got, err, want)
		}
	}
	if got, err := Decode[sample](nil); err != nil || got.Mode != "fast" || got.TLS != nil {
		t.Errorf("no configuration: %+v, %v", got, err)
	}
	for _, config := range []string{
		`{`, `[]`, `5`, `{"nonsense":1}`, `{"limits":{"nonsense":1}}`, `{"mode":5}`, `{"limits":{"time":"x"}}`, `{"limits":{"time":5}}`, `{"limits":{"body":"x"}}`,
		`{"limits":{"body":-1}}`, `{"apps":{}}`, `{"big":-1}`, `{"big":18446744073709551616}`,
	} {
		if got, err := Decode[sample](json.RawMessage(config)); err == nil {
			t.Errorf("%s: %+v", config, got)
		}
	}
}

// TestSecretSurvivesDecode wants the value in the struct and nowhere else.
func TestSecretSurvivesDecode(t *testing.T) {
	got, err := Decode[sample](json.RawMessage(`{"apps":[{"id":"a","secret":"hush \u00fc"}]}`))
	if err != nil || string(got.Apps[0].Secret) != "hush ü" {
		t.Errorf("%v, %v", got, err)
	}
}

// TestSchemaOfTheImpossible refuses every configuration.
func TestSchemaOfTheImpossible(t *testing.T) {
	if compile(t, json.RawMessage(`{"not":{}}`)).Validate(map[string]any{}) == nil {
		t.Error("the fallback accepts something")
	}
}
