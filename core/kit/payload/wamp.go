package payload

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pushbridge/bridge/core"
)

// WAMP is what a WAMP message carries, as Go values: nil, bool, int64, uint64,
// float64, string, []byte, []any and map[string]any. Values that were decoded
// are shared between receivers; nobody changes them.
type WAMP struct {
	Args   []any
	Kwargs map[string]any
}

// ToWAMP projects an event's data to WAMP arguments: WAMP data as it stands,
// JSON, text and bytes as one argument.
//
// Integers that fit 64 bits are exact, signed or unsigned; larger ones and
// numbers with a fraction or an exponent are float64, so integers beyond 64 bits
// lose digits for WAMP receivers only. A number beyond float64 is refused. A
// JSON string that begins with NUL and goes on in base64 is binary, as the WAMP
// specification writes it.
func ToWAMP(event *core.Event) (WAMP, error) {
	switch FormOf(event.Type, event.Data) {
	case FormWAMP:
		return parseWAMP(event.Data)
	case FormJSON:
		value, err := exact(event.Data)
		return WAMP{Args: []any{value}}, err
	case FormText:
		if !utf8.Valid(event.Data) {
			return WAMP{}, invalid("is typed %q but is not UTF-8", event.Type)
		}
		return WAMP{Args: []any{string(event.Data)}}, nil
	}
	return WAMP{Args: []any{bytes.Clone(event.Data)}}, nil
}

func parseWAMP(data []byte) (WAMP, error) {
	value, err := exact(data)
	if err != nil {
		return WAMP{}, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return WAMP{}, invalid("is no WAMP data: want an object with args and kwargs")
	}
	var w WAMP
	if args, present := object["args"]; present && args != nil {
		if w.Args, ok = args.([]any); !ok {
			return WAMP{}, invalid("is no WAMP data: args is no list")
		}
	}
	if kwargs, present := object["kwargs"]; present && kwargs != nil {
		if w.Kwargs, ok = kwargs.(map[string]any); !ok {
			return WAMP{}, invalid("is no WAMP data: kwargs is no object")
		}
	}
	return w, nil
}

// FromWAMP makes WAMP data of arguments, with both members present. The values
// may be any that JSON holds, and []byte.
func FromWAMP(args []any, kwargs map[string]any) ([]byte, error) {
	if args == nil {
		args = []any{}
	}
	if kwargs == nil {
		kwargs = map[string]any{}
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]any{"args": marked(args), "kwargs": marked(kwargs)}); err != nil {
		return nil, invalid("cannot be written as JSON: %v", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// binaryMark begins a JSON string that stands for binary data in WAMP.
const binaryMark = "\x00"

// marked replaces binary values by their JSON form.
func marked(value any) any {
	switch v := value.(type) {
	case []byte:
		return binaryMark + base64.StdEncoding.EncodeToString(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = marked(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, entry := range v {
			out[key] = marked(entry)
		}
		return out
	}
	return value
}

// exact decodes JSON without losing digits of 64-bit integers.
func exact(data []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, invalid("is no JSON: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, invalid("is no JSON: something stands behind the value")
	}
	return convert(value)
}

// convert replaces numbers, and strings that stand for binary data, in place.
func convert(value any) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		return number(string(v))
	case string:
		if encoded, marked := strings.CutPrefix(v, binaryMark); marked {
			if binary, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				return binary, nil
			}
		}
	case []any:
		for i := range v {
			if v[i], err = convert(v[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range v {
			if v[key], err = convert(v[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

func number(text string) (any, error) {
	if !strings.ContainsAny(text, ".eE") {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			if n == 0 && text[0] == '-' {
				return math.Copysign(0, -1), nil
			}
			return n, nil
		}
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			return n, nil
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, invalid("holds the number %s, which is out of range", text)
	}
	return n, nil
}

// Value is an event's data as a Go value, for expressions: JSON and WAMP data
// parsed as [ToWAMP] parses, text as a string, bytes as they are.
func Value(event *core.Event) (any, error) {
	switch FormOf(event.Type, event.Data) {
	case FormWAMP, FormJSON:
		return exact(event.Data)
	case FormText:
		return string(event.Data), nil
	}
	return event.Data, nil
}
