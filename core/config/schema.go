package config

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// violation is one way in which a value breaks its schema.
type violation struct {
	path    string
	message string
	// about is the value at fault if it is not the one at path: a member that is
	// missing.
	about string
}

// checkSchema holds a value against a JSON Schema. Violations come in the order
// of the validator; an error means that the schema itself is no schema.
func checkSchema(schema json.RawMessage, value any) ([]violation, error) {
	compiled, err := compile(schema)
	if err != nil {
		return nil, err
	}
	return check(compiled, schema, value)
}

// check is checkSchema with the schema compiled.
func check(compiled *jsonschema.Schema, schema json.RawMessage, value any) ([]violation, error) {
	err := compiled.Validate(value)
	if err == nil {
		return nil, nil
	}
	invalid, ok := err.(*jsonschema.ValidationError)
	if !ok {
		return nil, err
	}
	var found []violation
	collect(invalid, rulesOf(schema), &found)
	return found, nil
}

func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schema)))
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", document); err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	return compiled, nil
}

func rulesOf(schema json.RawMessage) map[string]any {
	var rules map[string]any
	_ = json.Unmarshal(schema, &rules) // it compiled
	return rules
}

// collect turns the validator's tree into sentences for people.
func collect(err *jsonschema.ValidationError, rules map[string]any, found *[]violation) {
	path := pointer(err.InstanceLocation)
	add := func(path, format string, args ...any) {
		*found = append(*found, violation{path: path, message: fmt.Sprintf(format, args...), about: path})
	}
	switch k := err.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.AllOf, *kind.Reference:
		for _, cause := range err.Causes {
			collect(cause, rules, found)
		}
	case *kind.AnyOf, *kind.OneOf:
		collectAlternatives(err, rules, found)
	case *kind.AdditionalProperties:
		known := propertiesAt(rules, err.InstanceLocation)
		for _, name := range k.Properties {
			add(child(path, name), "unknown key %q%s", name, suggest(name, known))
		}
	case *kind.Required:
		for _, name := range k.Missing {
			add(path, "%q is missing", name)
			(*found)[len(*found)-1].about = child(path, name)
		}
	case *kind.Type:
		add(path, "want %s, got %s", strings.Join(k.Want, " or "), k.Got)
	case *kind.Enum:
		add(path, "want one of %s%s", list(k.Want), suggest(fmt.Sprint(k.Got), texts(k.Want)))
	case *kind.Const:
		add(path, "want %v", k.Want)
	case *kind.Pattern:
		add(path, "%q is not of the form wanted here%s", k.Got, examples(rules, err.InstanceLocation))
	case *kind.MinLength:
		if k.Got == 0 {
			add(path, "must not be empty")
			return
		}
		add(path, "must have at least %d characters", k.Want)
	case *kind.MinItems:
		if k.Got == 0 {
			add(path, "must not be empty")
			return
		}
		add(path, "must have at least %d entries", k.Want)
	case *kind.Minimum:
		add(path, "must be at least %s", k.Want.RatString())
	case *kind.Maximum:
		add(path, "must be at most %s", k.Want.RatString())
	default:
		add(path, "%s", err.ErrorKind.LocalizedString(message.NewPrinter(language.English)))
	}
}

// collectAlternatives speaks of the alternative that the value comes closest to:
// one of its own type, if there is any.
func collectAlternatives(err *jsonschema.ValidationError, rules map[string]any, found *[]violation) {
	var wants []string
	for _, alternative := range err.Causes {
		var in []violation
		collect(alternative, rules, &in)
		if t := typeMismatch(alternative, len(err.InstanceLocation)); t != nil {
			wants = append(wants, t.Want...)
			continue
		}
		*found = append(*found, in...)
		return
	}
	path := pointer(err.InstanceLocation)
	*found = append(*found, violation{path: path, message: "want " + strings.Join(slices.Compact(wants), " or "), about: path})
}

// typeMismatch finds a type error about the value at that depth.
func typeMismatch(err *jsonschema.ValidationError, depth int) *kind.Type {
	if len(err.InstanceLocation) != depth {
		return nil
	}
	if t, ok := err.ErrorKind.(*kind.Type); ok {
		return t
	}
	for _, cause := range err.Causes {
		if t := typeMismatch(cause, depth); t != nil {
			return t
		}
	}
	return nil
}

func pointer(location []string) string {
	path := ""
	for _, part := range location {
		path = child(path, part)
	}
	return path
}

// propertiesAt names the properties that the schema knows at a place.
func propertiesAt(rules map[string]any, location []string) []string {
	var names []string
	for _, object := range rulesAt(rules, location) {
		properties, _ := object["properties"].(map[string]any)
		for name := range properties {
			names = append(names, name)
		}
	}
	return names
}

// examples are the schema's examples for a place, in words.
func examples(rules map[string]any, location []string) string {
	for _, object := range rulesAt(rules, location) {
		if values, _ := object["examples"].([]any); len(values) > 0 {
			return "; write for example " + list(values)
		}
	}
	return ""
}

// rulesAt follows a location through properties, items and alternatives.
func rulesAt(rules map[string]any, location []string) []map[string]any {
	here := []map[string]any{rules}
	for _, part := range append([]string{""}, location...) {
		var next []map[string]any
		for _, object := range here {
			next = append(next, step(object, part)...)
		}
		here = next
	}
	return here
}

// step is what a schema says of a part; of "" it is itself and its alternatives.
func step(rules map[string]any, part string) []map[string]any {
	if part == "" {
		out := []map[string]any{rules}
		for _, keyword := range []string{"oneOf", "anyOf", "allOf"} {
			alternatives, _ := rules[keyword].([]any)
			for _, alternative := range alternatives {
				if object, ok := alternative.(map[string]any); ok {
					out = append(out, step(object, "")...)
				}
			}
		}
		return out
	}
	properties, _ := rules["properties"].(map[string]any)
	for _, candidate := range []any{properties[part], rules["items"], rules["additionalProperties"]} {
		if object, ok := candidate.(map[string]any); ok {
			return step(object, "")
		}
	}
	return nil
}

func list(values []any) string { return strings.Join(texts(values), ", ") }

func texts(values []any) []string {
	out := make([]string, len(values))
	for i, value := range values {
		out[i] = fmt.Sprint(value)
	}
	return out
}
