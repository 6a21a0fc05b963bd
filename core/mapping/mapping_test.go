package mapping

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

func TestMap(t *testing.T) {
	event := core.Event{
		ID: "id", Source: "s", Topic: "orders-1", Name: "paid", Type: core.TypeJSON,
		Data: []byte(`{"amount":12,"big":18446744073709551615,"tags":["a","b"]}`),
		Meta: map[string]string{"k": "v"}, Only: core.Audience{"user": {"1"}},
	}
	change := func(f func(*core.Event)) *core.Event {
		e := event.Clone()
		f(&e)
		return &e
	}
	for _, test := range []struct {
		name        string
		expressions Expressions
		want        *core.Event // nil: dropped
		fails       string
	}{
		{"when keeps", Expressions{When: `event.topic.startsWith("orders-")`}, &event, ""},
		{"when drops", Expressions{When: `event.name == "other"`}, nil, ""},
		{"data", Expressions{When: `event.data.amount > 10 && "b" in event.data.tags`}, &event, ""},
		{"unsigned 64 bits", Expressions{When: `event.data.big == 18446744073709551615u`}, &event, ""},
		{"missing member", Expressions{When: `event.data.nothing == 1`}, nil, "/when"},
		{"audience", Expressions{When: `"1" in event.only["user"] && event.kind == "message"`}, &event, ""},
		{"set texts", Expressions{Set: Set{Topic: `"t." + event.topic`, Name: `"order." + event.name`, Space: `"x"`}},
			change(func(e *core.Event) { e.Topic, e.Name, e.Space = "t.orders-1", "order.paid", "x" }), ""},
		{"set sees the event as it came", Expressions{Set: Set{Topic: `event.name`, Name: `event.topic`}},
			change(func(e *core.Event) { e.Topic, e.Name = "paid", "orders-1" }), ""},
		{"set meta", Expressions{Set: Set{Meta: map[string]string{"n": `event.meta["k"] + "2"`}}},
			change(func(e *core.Event) { e.Meta["n"] = "v2" }), ""},
		{"set data to JSON", Expressions{Set: Set{Data: `{"n": event.data.amount}`}},
			change(func(e *core.Event) { e.Data = []byte(`{"n":12}`) }), ""},
		{"set data to text", Expressions{Set: Set{Data: `"hello"`, Type: `"text/plain"`}},
			change(func(e *core.Event) { e.Data, e.Type = []byte("hello"), "text/plain" }), ""},
		{"set of a wrong type at run time", Expressions{Set: Set{Topic: `event.data.amount`}}, nil, "/set/topic"},
		{"too costly", Expressions{When: strings.Repeat(`[1,2,3,4,5,6,7,8,9,10].all(a,`, 7) + "true" + strings.Repeat(")", 7)}, nil, "/when"},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, errs := Compile(test.expressions)
			if errs != nil {
				t.Fatal(errs)
			}
			f, err := frame.Encode(&event)
			if err != nil {
				t.Fatal(err)
			}
			mapped, keep, err := m.Map(f)
			if test.fails != "" {
				refusal := core.AsRefusal(err)
				if refusal == nil || refusal.Code != core.CodeMapping || !strings.Contains(refusal.Message, test.fails) {
					t.Fatalf("error %v, want %s about %s", err, core.CodeMapping, test.fails)
				}
				return
			}
			if err != nil || keep != (test.want != nil) {
				t.Fatalf("keep %v, error %v", keep, err)
			}
			if keep {
				if diff := cmp.Diff(*test.want, mapped.Decode()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestDataThatCannotBeRead(t *testing.T) {
	m, errs := Compile(Expressions{When: `event.data.x == 1 || event.topic == "t"`})
	if errs != nil {
		t.Fatal(errs)
	}
	f, err := frame.Encode(&core.Event{Topic: "other", Type: core.TypeJSON, Data: []byte(`{"x":`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.Map(f); core.AsRefusal(err).Code != core.CodeMapping {
		t.Errorf("error %v", err)
	}
}

func TestCompileErrors(t *testing.T) {
	_, errs := Compile(Expressions{
		When: `event.topik == "x"`,
		Set: Set{
			Topic: `event.topic +`, Name: `1 + 2`, Data: `nope`,
			Meta: map[string]string{"m": `event.kind == 1`},
		},
	})
	seen := make(map[string]bool)
	for _, e := range errs {
		seen[e.Path] = true
	}
	want := map[string]bool{"/when": true, "/set/topic": true, "/set/name": true, "/set/data": true, "/set/meta/m": true}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("%v\n%s", errs, diff)
	}
	if !strings.Contains(errs[0].Message, "topic") {
		t.Errorf("the message names no attributes: %s", errs[0].Message)
	}
	if m, errs := Compile(Expressions{}); m != nil || errs != nil {
		t.Error("no expressions must make no mapping")
	}
}
