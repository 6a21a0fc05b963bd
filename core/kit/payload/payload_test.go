package payload

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/core"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// Every projection of every kind of data, in one table for people to read.
func TestGolden(t *testing.T) {
	var got bytes.Buffer
	for _, in := range []struct{ kind, data string }{
		{core.TypeWAMP, `{"args":[],"kwargs":{}}`},
		{core.TypeWAMP, `{"args":["one"],"kwargs":{}}`},
		{core.TypeWAMP, `{"args":[1,2],"kwargs":{}}`},
		{core.TypeWAMP, `{"args":[],"kwargs":{"b":1,"a":2}}`},
		{core.TypeWAMP, `{"args":[1],"kwargs":{"a":2}}`},
		{core.TypeWAMP, `{"args":null}`},
		{core.TypeWAMP, `{"args":[9223372036854775807,18446744073709551615,-9223372036854775808,1.0,1e2]}`},
		{core.TypeWAMP, `{"args":["\u0000AP8="],"kwargs":{}}`},
		{core.TypeWAMP, `[]`},
		{core.TypeWAMP, `{"args":{}}`},
		{core.TypeWAMP, `{"args":[1e999]}`},
		{core.TypeJSON, `{"a": 1,  "b":"<&>"}`},
		{core.TypeJSON, `"text"`},
		{core.TypeJSON, `123456789012345678901234567890`},
		{core.TypeJSON, `{"broken`},
		{core.TypeJSON, `1 2`},
		{"application/ld+json; charset=utf-8", `[1]`},
		{core.TypeText, "grüße <b>"},
		{"text/html", "<p>"},
		{core.TypeText, "\xff"},
		{core.TypeBin, "\x00\xff"},
		{"image/png", "PNG"},
		{"no type at all;;", "x"},
		{"", `{"json":true}`},
		{"", "plain"},
		{"", "\xff"},
		{"", ""},
	} {
		event := core.Event{Type: in.kind, Data: []byte(in.data)}
		fmt.Fprintf(&got, "%s %q\n", in.kind, in.data)
		wamp, err := ToWAMP(&event)
		fmt.Fprintf(&got, "  wamp   %s\n", show(describe(wamp), err))
		asJSON, err := JSON(&event)
		fmt.Fprintf(&got, "  json   %s\n", show(string(asJSON), err))
		text, err := Text(&event)
		fmt.Fprintf(&got, "  text   %s\n", show(fmt.Sprintf("%q", text), err))
		body, kind, err := Bytes(&event)
		fmt.Fprintf(&got, "  bytes  %s\n\n", show(fmt.Sprintf("%s %q", kind, body), err))
	}
	const golden = "testdata/projections.txt"
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got.Bytes()) {
		t.Errorf("the projections differ from %s (-update rewrites it):\n%s", golden, got.String())
	}
}

func show(value string, err error) string {
	if err != nil {
		return "refused: " + core.AsRefusal(err).Code
	}
	return value
}

// describe shows Go types, which decide what a WAMP serializer writes.
func describe(w WAMP) string {
	var b strings.Builder
	for _, arg := range w.Args {
		fmt.Fprintf(&b, "%T(%v) ", arg, arg)
	}
	if w.Kwargs != nil {
		fmt.Fprintf(&b, "%v", w.Kwargs)
	}
	return strings.TrimSpace(b.String())
}

// What FromWAMP writes, ToWAMP reads back unchanged.
func TestWAMPRoundTrip(t *testing.T) {
	args := []any{nil, true, int64(math.MinInt64), uint64(math.MaxUint64), 1.5, "text <&>", []byte{0, 255}, []any{int64(1)}, map[string]any{"k": []byte("b")}}
	kwargs := map[string]any{"deep": []any{map[string]any{"x": int64(1)}}}
	data, err := FromWAMP(args, kwargs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ToWAMP(&core.Event{Type: core.TypeWAMP, Data: data})
	if err != nil || !reflect.DeepEqual(got, WAMP{args, kwargs}) {
		t.Errorf("%v\n%s\n%#v", err, data, got)
	}
	if data, err := FromWAMP(nil, nil); err != nil || string(data) != `{"args":[],"kwargs":{}}` {
		t.Errorf("%s %v", data, err)
	}
	if _, err := FromWAMP([]any{math.NaN()}, nil); core.AsRefusal(err) == nil {
		t.Error("NaN became JSON")
	}
}

func FuzzProjections(f *testing.F) {
	f.Add(core.TypeWAMP, []byte(`{"args":[1],"kwargs":{}}`))
	f.Add(core.TypeJSON, []byte(`[1,2.5,"x"]`))
	f.Fuzz(func(t *testing.T, kind string, data []byte) {
		event := core.Event{Type: kind, Data: data}
		if out, err := JSON(&event); err == nil && !json.Valid(out) {
			t.Errorf("JSON of %q %q is no JSON: %q", kind, data, out)
		}
		_, _ = Text(&event)
		_, _, _ = Bytes(&event)
		_, _ = Value(&event)
		if w, err := ToWAMP(&event); err == nil {
			if _, err := FromWAMP(w.Args, w.Kwargs); err != nil {
				t.Errorf("%q %q cannot be written again: %v", kind, data, err)
			}
		}
	})
}
