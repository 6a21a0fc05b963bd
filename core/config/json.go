package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
)

// parseJSON parses JSON, with positions and without losing digits.
func (d *document) parseJSON(data []byte) {
	p := &jsonParser{document: d, data: data, decoder: json.NewDecoder(bytes.NewReader(data))}
	p.decoder.UseNumber()
	value, err := p.value("", 0)
	if err != nil {
		d.errorAt(p.failed(err), "", "syntax error: %s", err)
		return
	}
	if _, at, more := p.next(); !errors.Is(more, io.ErrUnexpectedEOF) {
		d.errorAt(at, "", "syntax error: something stands behind the value")
		return
	}
	d.value = value
}

type jsonParser struct {
	document *document
	data     []byte
	decoder  *json.Decoder
}

// next returns the next token and where it begins.
func (p *jsonParser) next() (json.Token, Position, error) {
	offset := int(p.decoder.InputOffset())
	for offset < len(p.data) && bytes.IndexByte([]byte(" \t\r\n,:"), p.data[offset]) >= 0 {
		offset++
	}
	token, err := p.decoder.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return token, positionOf(p.data, offset), err
}

var offending = regexp.MustCompile(`invalid character '([^'\\]+)'`)

func (p *jsonParser) failed(err error) Position {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		// The library counts the offending character in some cases and not in
		// others, but it names it.
		offset := max(int(syntax.Offset)-1, 0)
		if match := offending.FindStringSubmatch(err.Error()); match != nil {
			offset += max(bytes.Index(p.data[min(offset, len(p.data)):], []byte(match[1])), 0)
		}
		return positionOf(p.data, offset)
	}
	return positionOf(p.data, int(p.decoder.InputOffset()))
}

func (p *jsonParser) value(path string, depth int) (any, error) {
	token, at, err := p.next()
	if err != nil {
		return nil, err
	}
	if !p.document.count(depth) {
		return nil, errors.New("the file is too deep or holds too much")
	}
	if _, known := p.document.positions[path]; !known {
		p.document.positions[path] = at
	}
	switch token {
	case json.Delim('{'):
		return p.object(path, depth)
	case json.Delim('['):
		return p.list(path, depth)
	}
	return token, nil
}

func (p *jsonParser) object(path string, depth int) (any, error) {
	object := make(map[string]any)
	for p.decoder.More() {
		token, at, err := p.next()
		if err != nil {
			return nil, err
		}
		key, _ := token.(string)
		place := child(path, key)
		if _, twice := object[key]; twice {
			p.document.errorAt(at, place, "key %q stands here twice", key)
		}
		p.document.positions[place] = at
		if object[key], err = p.value(place, depth+1); err != nil {
			return nil, err
		}
	}
	_, _, err := p.next()
	return object, err
}

func (p *jsonParser) list(path string, depth int) (any, error) {
	list := []any{}
	for p.decoder.More() {
		value, err := p.value(child(path, len(list)), depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	_, _, err := p.next()
	return list, err
}
