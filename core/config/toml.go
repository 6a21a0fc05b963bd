package config

import (
	"errors"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// parseTOML takes the values from the library's decoder and the positions from
// its parser.
func (d *document) parseTOML(data []byte) {
	var value map[string]any
	if err := toml.Unmarshal(data, &value); err != nil {
		var syntax *toml.DecodeError
		at := Position{}
		if errors.As(err, &syntax) {
			at.Line, at.Column = syntax.Position()
		}
		d.errorAt(at, "", "syntax error: %s", err)
		return
	}
	d.value = d.fromTOML(value, "", 0)
	d.positions[""] = Position{1, 1}
	p := &tomlPositions{document: d, data: data, tables: make(map[string]int)}
	p.parser.Reset(data)
	for p.parser.NextExpression() {
		p.expression(p.parser.Expression())
	}
}

// fromTOML makes dates text and drops nothing.
func (d *document) fromTOML(value any, path string, depth int) any {
	if !d.count(depth) {
		return nil
	}
	switch v := value.(type) {
	case map[string]any:
		for key := range v {
			v[key] = d.fromTOML(v[key], child(path, key), depth+1)
		}
	case []any:
		for i := range v {
			v[i] = d.fromTOML(v[i], child(path, i), depth+1)
		}
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case toml.LocalDate:
		return v.String()
	case toml.LocalTime:
		return v.String()
	case toml.LocalDateTime:
		return v.String()
	}
	return value
}

// tomlPositions notes where keys stand.
type tomlPositions struct {
	document *document
	data     []byte
	parser   unstable.Parser
	table    string         // pointer of the table that keys belong to
	tables   map[string]int // elements of each array of tables, so far
}

func (p *tomlPositions) expression(node *unstable.Node) {
	switch node.Kind {
	case unstable.Table:
		p.table = p.keys("", node.Key())
	case unstable.ArrayTable:
		list := p.keys("", node.Key())
		p.table = child(list, p.tables[list])
		p.tables[list]++
		p.document.positions[p.table] = p.document.positions[list]
	case unstable.KeyValue:
		p.keyValue(p.table, node)
	}
}

func (p *tomlPositions) keyValue(path string, node *unstable.Node) {
	p.value(p.keys(path, node.Key()), node.Value())
}

func (p *tomlPositions) value(path string, node *unstable.Node) {
	switch node.Kind {
	case unstable.InlineTable:
		for children := node.Children(); children.Next(); {
			p.keyValue(path, children.Node())
		}
	case unstable.Array:
		index := 0
		for children := node.Children(); children.Next(); {
			element := children.Node()
			if element.Kind == unstable.Comment {
				continue
			}
			if element.Raw.Length > 0 {
				p.note(child(path, index), element)
			}
			p.value(child(path, index), element)
			index++
		}
	}
}

// keys follows a dotted key from path, notes each part, and returns the pointer
// that it leads to: into the last element where a part is an array of tables.
func (p *tomlPositions) keys(path string, key unstable.Iterator) string {
	for key.Next() {
		if n := p.tables[path]; n > 0 {
			path = child(path, n-1)
		}
		path = child(path, string(key.Node().Data))
		p.note(path, key.Node())
	}
	return path
}

func (p *tomlPositions) note(path string, node *unstable.Node) {
	if _, known := p.document.positions[path]; !known {
		p.document.positions[path] = positionOf(p.data, int(node.Raw.Offset))
	}
}
