// Package mapping compiles and runs the expressions of an edge: when, which
// keeps or drops an event, and set, which replaces its attributes.
//
// Expressions are CEL (https://cel.dev) over the variables event.id, source,
// kind, space, topic, direct, name, time, type, data, meta, only, except and
// hops. They are compiled and type-checked when a file is read, and run in the
// bridge process on the goroutine of the publisher, so their cost is bounded.
// event.data is parsed only if an expression asks for it.
//
// How data changes its form from one protocol to another is not decided here but
// in core/kit/payload, by the sinks.
package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

// costLimit bounds one evaluation, in CEL's units: some milliseconds at most.
const costLimit = 1_000_000

// Expressions are the sources of an edge's expressions; empty ones are not there.
type Expressions struct {
	When string
	Set  Set
}

// Set holds one expression for each attribute to replace.
type Set struct {
	Space, Topic, Name, Type, Data string
	Meta                           map[string]string
}

// Error says what is wrong with one expression.
type Error struct {
	// Path is the expression's JSON pointer within the edge: "/when",
	// "/set/topic", "/set/meta/wamp.retain".
	Path    string
	Message string
}

// Mapping is a compiled set of expressions. It is a bus.Mapper, safe for
// concurrent use.
type Mapping struct {
	when cel.Program
	set  []assignment
}

// assignment replaces one attribute.
type assignment struct {
	path    string
	program cel.Program
	assign  func(event *core.Event, value ref.Val) error
}

// Compile compiles the expressions, all of them, and returns every error. No
// expressions make a nil Mapping.
func Compile(e Expressions) (*Mapping, []Error) {
	c := &compiler{}
	c.environment, c.err = newEnvironment()
	if c.err != nil {
		return nil, []Error{{Message: c.err.Error()}}
	}
	m := &Mapping{when: c.compile("/when", e.When, cel.BoolType)}
	c.text(m, "/set/space", e.Set.Space, func(event *core.Event, v string) { event.Space = v })
	c.text(m, "/set/topic", e.Set.Topic, func(event *core.Event, v string) { event.Topic = v })
	c.text(m, "/set/name", e.Set.Name, func(event *core.Event, v string) { event.Name = v })
	if program := c.compile("/set/data", e.Set.Data, cel.DynType); program != nil {
		m.set = append(m.set, assignment{"/set/data", program, assignData})
	}
	c.text(m, "/set/type", e.Set.Type, func(event *core.Event, v string) { event.Type = v })
	for _, key := range slices.Sorted(maps.Keys(e.Set.Meta)) {
		c.text(m, "/set/meta/"+key, e.Set.Meta[key], func(event *core.Event, v string) {
			meta := maps.Clone(event.Meta)
			if meta == nil {
				meta = make(map[string]string)
			}
			meta[key] = v
			event.Meta = meta
		})
	}
	if len(c.errors) > 0 {
		return nil, c.errors
	}
	if m.when == nil && len(m.set) == 0 {
		return nil, nil
	}
	return m, nil
}

// Map implements bus.Mapper. The expressions of set all see the event as it
// arrived.
func (m *Mapping) Map(f frame.Frame) (frame.Frame, bool, error) {
	event := f.Decode()
	vars := &variables{event: &event}
	if m.when != nil {
		value, _, err := m.when.Eval(vars)
		if err != nil {
			return f, false, failed("/when", err)
		}
		if keep, _ := value.Value().(bool); !keep {
			return f, false, nil
		}
	}
	if len(m.set) == 0 {
		return f, true, nil
	}
	changed := event
	for _, a := range m.set {
		value, _, err := a.program.Eval(vars)
		if err == nil {
			err = a.assign(&changed, value)
		}
		if err != nil {
			return f, false, failed(a.path, err)
		}
	}
	mapped, err := frame.Encode(&changed)
	return mapped, true, err
}

func failed(path string, err error) error {
	return core.Refuse(core.CodeMapping, "the edge's expression %s failed: %v", path, err)
}

// assignData takes text and bytes as they are and anything else as JSON.
func assignData(event *core.Event, value ref.Val) error {
	switch v := value.Value().(type) {
	case string:
		event.Data = []byte(v)
		return nil
	case []byte:
		event.Data = v
		return nil
	}
	native, err := value.ConvertToNative(types.JSONValueType)
	if err != nil {
		return fmt.Errorf("the value is no JSON: %w", err)
	}
	data, err := json.Marshal(native)
	if err != nil {
		return fmt.Errorf("the value is no JSON: %w", err)
	}
	event.Data, event.Type = data, core.TypeJSON
	return nil
}

// newEnvironment declares what expressions may use.
func newEnvironment() (*cel.Env, error) {
	text := cel.StringType
	audience := cel.MapType(text, cel.ListType(text))
	environment, err := cel.NewEnv(
		cel.Variable("event.id", text),
		cel.Variable("event.source", text),
		cel.Variable("event.kind", text),
		cel.Variable("event.space", text),
		cel.Variable("event.topic", text),
		cel.Variable("event.direct", cel.BoolType),
		cel.Variable("event.name", text),
		cel.Variable("event.time", cel.TimestampType),
		cel.Variable("event.type", text),
		cel.Variable("event.data", cel.DynType),
		cel.Variable("event.meta", cel.MapType(text, text)),
		cel.Variable("event.only", audience),
		cel.Variable("event.except", audience),
		cel.Variable("event.hops", cel.IntType),
		cel.CrossTypeNumericComparisons(true),
		ext.Strings(),
		ext.Encoders(),
	)
	if err != nil {
		return nil, fmt.Errorf("expressions: %w", err)
	}
	return environment, nil
}
