package config

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// parseYAML parses YAML 1.2 as the library understands it: one document, string
// keys, no key twice.
func (d *document) parseYAML(data []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var root yaml.Node
	if err := decoder.Decode(&root); err != nil {
		d.yamlError(err)
		return
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		d.errorAt(Position{}, "", "the file holds more than one YAML document")
		return
	}
	if len(root.Content) == 1 {
		d.value = d.fromYAML(root.Content[0], "", 0)
	}
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// yamlError takes the line out of the library's message.
func (d *document) yamlError(err error) {
	if match := yamlLine.FindStringSubmatch(err.Error()); match != nil {
		line, _ := strconv.Atoi(match[1])
		d.errorAt(Position{Line: line, Column: 1}, "", "syntax error: %s", match[2])
		return
	}
	d.errorAt(Position{Line: 1, Column: 1}, "", "syntax error: %s", bytes.TrimPrefix([]byte(err.Error()), []byte("yaml: ")))
}

func (d *document) fromYAML(node *yaml.Node, path string, depth int) any {
	if !d.count(depth) {
		return nil
	}
	if _, known := d.positions[path]; !known {
		d.positions[path] = Position{node.Line, node.Column}
	}
	switch node.Kind {
	case yaml.AliasNode:
		return d.fromYAML(node.Alias, path, depth+1)
	case yaml.MappingNode:
		return d.yamlMapping(node, path, depth)
	case yaml.SequenceNode:
		list := make([]any, len(node.Content))
		for i, element := range node.Content {
			list[i] = d.fromYAML(element, child(path, i), depth+1)
		}
		return list
	}
	if node.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
		d.unquoted[path] = true
	}
	var value any
	if err := node.Decode(&value); err != nil {
		d.errorAt(Position{node.Line, node.Column}, path, "%s", err)
	}
	switch value.(type) {
	case nil, bool, int, int64, uint64, float64, string:
		return value
	}
	return node.Value // timestamps and the like: as they are written
}

func (d *document) yamlMapping(node *yaml.Node, path string, depth int) any {
	object := make(map[string]any)
	seen := make(map[string]bool)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		at := Position{key.Line, key.Column}
		if key.Tag == "!!merge" {
			d.mergeYAML(object, value, path, depth)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.errorAt(at, path, "a key must be text")
			continue
		}
		if seen[key.Value] {
			d.errorAt(at, child(path, key.Value), "key %q stands here twice", key.Value)
			continue
		}
		seen[key.Value] = true
		d.positions[child(path, key.Value)] = at
		object[key.Value] = d.fromYAML(value, child(path, key.Value), depth+1)
	}
	return object
}

// mergeYAML adds what a merge key (<<) brings and the object does not have yet.
func (d *document) mergeYAML(object map[string]any, value *yaml.Node, path string, depth int) {
	if value.Kind == yaml.SequenceNode {
		for _, element := range value.Content {
			d.mergeYAML(object, element, path, depth+1)
		}
		return
	}
	merged, ok := d.fromYAML(value, path, depth+1).(map[string]any)
	if !ok {
		d.errorAt(Position{value.Line, value.Column}, path, "<< wants a mapping")
		return
	}
	for key, v := range merged {
		if _, present := object[key]; !present {
			object[key] = v
		}
	}
}
