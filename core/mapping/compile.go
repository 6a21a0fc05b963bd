package mapping

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/payload"
)

// compiler compiles expressions and collects what is wrong with them.
type compiler struct {
	environment *cel.Env
	err         error
	errors      []Error
}

// compile returns the program of an expression, nil if there is none or it is
// wrong.
func (c *compiler) compile(path, source string, want *cel.Type) cel.Program {
	if source == "" {
		return nil
	}
	ast, issues := c.environment.Compile(source)
	if issues.Err() != nil {
		for _, issue := range issues.Errors() {
			c.fail(path, "column %d of the expression: %s", issue.Location.Column()+1, explain(issue.Message))
		}
		return nil
	}
	if got := ast.OutputType(); want != cel.DynType && !got.IsExactType(want) && !got.IsExactType(cel.DynType) {
		c.fail(path, "the expression gives %s, want %s", got, want)
		return nil
	}
	program, err := c.environment.Program(ast, cel.CostLimit(costLimit))
	if err != nil {
		c.fail(path, "%s", err)
		return nil
	}
	return program
}

// text compiles an expression that replaces a text.
func (c *compiler) text(m *Mapping, path, source string, assign func(*core.Event, string)) {
	program := c.compile(path, source, cel.StringType)
	if program == nil {
		return
	}
	m.set = append(m.set, assignment{path, program, func(event *core.Event, value ref.Val) error {
		text, ok := value.Value().(string)
		if !ok {
			return fmt.Errorf("it gave %s, want a text", value.Type().TypeName())
		}
		assign(event, text)
		return nil
	}})
}

func (c *compiler) fail(path, format string, args ...any) {
	c.errors = append(c.errors, Error{Path: path, Message: fmt.Sprintf(format, args...)})
}

// explain names the attributes when one was misspelt: CEL only says that it
// does not know "event".
func explain(message string) string {
	if strings.HasPrefix(message, "undeclared reference to 'event'") {
		return "no such attribute of event; there are id, source, kind, space, topic, direct, name, time, type, data, meta, only, except, hops"
	}
	// The parser lists every token that could have followed.
	message, _, _ = strings.Cut(message, " expecting ")
	return message
}

// variables gives an evaluation the attributes that it asks for.
type variables struct {
	event  *core.Event
	parsed bool
	data   any
}

// Parent implements cel.Activation.
func (*variables) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (v *variables) ResolveName(name string) (any, bool) {
	e := v.event
	switch name {
	case "event.id":
		return e.ID, true
	case "event.source":
		return e.Source, true
	case "event.kind":
		return e.Kind.String(), true
	case "event.space":
		return e.Space, true
	case "event.topic":
		return e.Topic, true
	case "event.direct":
		return e.Direct, true
	case "event.name":
		return e.Name, true
	case "event.time":
		return e.Time, true
	case "event.type":
		return e.Type, true
	case "event.data":
		return v.parse(), true
	case "event.meta":
		return e.Meta, true
	case "event.only":
		return map[string][]string(e.Only), true
	case "event.except":
		return map[string][]string(e.Except), true
	case "event.hops":
		return int(e.Hops), true
	}
	return nil, false
}

// parse reads the data once. Data that cannot be read fails the evaluation.
func (v *variables) parse() any {
	if !v.parsed {
		v.parsed = true
		value, err := payload.Value(v.event)
		if err != nil {
			value = types.WrapErr(err)
		}
		v.data = value
	}
	return v.data
}
