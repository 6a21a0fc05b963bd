package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// property is the part of a JSON Schema that people ask for.
type property struct {
	Type        string              `json:"type"`
	Description string              `json:"description"`
	Default     any                 `json:"default"`
	Enum        []any               `json:"enum"`
	Examples    []any               `json:"examples"`
	Required    []string            `json:"required"`
	Properties  map[string]property `json:"properties"`
	Items       *property           `json:"items"`
	Additional  json.RawMessage     `json:"additionalProperties"`
	OneOf       []property          `json:"oneOf"`
}

// printSettings prints a configuration's schema as a list of keys.
func printSettings(out io.Writer, schema json.RawMessage) error {
	var root property
	if err := json.Unmarshal(schema, &root); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	root.print(table, "")
	return table.Flush()
}

func (p *property) print(out io.Writer, prefix string) {
	for _, name := range slices.Sorted(maps.Keys(p.Properties)) {
		entry := p.Properties[name]
		mark := ""
		if slices.Contains(p.Required, name) {
			mark = "*"
		}
		fmt.Fprintf(out, "  %s%s%s\t%s\t%s\n", prefix, name, mark, entry.kind(), entry.text())
		entry.print(out, prefix+name+".")
		if entry.Items != nil {
			entry.Items.print(out, prefix+name+"[].")
		}
		var entries property
		if json.Unmarshal(entry.Additional, &entries) == nil {
			entries.print(out, prefix+name+".NAME.")
		}
	}
}

// kind is the type in words.
func (p *property) kind() string {
	switch {
	case len(p.Enum) > 0:
		return join(p.Enum, "|")
	case p.Items != nil:
		return "list of " + p.Items.kind()
	case p.Type != "":
		return p.Type
	}
	var kinds []string
	for _, alternative := range p.OneOf {
		kinds = append(kinds, alternative.kind())
	}
	return strings.Join(kinds, " or ")
}

func (p *property) text() string {
	text := p.Description
	if p.Default != nil {
		text = strings.TrimSpace(text + fmt.Sprintf(" Default: %v.", p.Default))
	}
	if len(p.Examples) > 0 {
		text = strings.TrimSpace(text + " Examples: " + join(p.Examples, ", ") + ".")
	}
	return text
}

func join(values []any, separator string) string {
	texts := make([]string, len(values))
	for i, value := range values {
		texts[i] = fmt.Sprint(value)
	}
	return strings.Join(texts, separator)
}
