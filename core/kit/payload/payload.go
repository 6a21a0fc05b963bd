// Package payload projects an event's data from one protocol's form to
// another's: WAMP arguments, JSON, text, bytes. It is the one place where that is
// decided; adapters decide only which projection they need.
//
//	form      Type                                Data
//	WAMP      application/vnd.bridge.wamp+json    {"args":[…],"kwargs":{…}}
//	JSON      application/json, …+json            a JSON text
//	text      text/…                              UTF-8
//	bytes     anything else                       bytes
//
// Data that does not keep to its type is refused with core.CodePayload, never
// repaired. What passes without change of form passes byte for byte.
package payload

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/pushbridge/bridge/core"
)

// Form is what kind of data a media type stands for.
type Form uint8

// The forms.
const (
	FormBytes Form = iota
	FormText
	FormJSON
	FormWAMP
)

// FormOf tells the form of a media type. An event without type is JSON if its
// data is, else text if it is UTF-8, else bytes.
func FormOf(mediaType string, data []byte) Form {
	switch mediaType {
	case core.TypeWAMP:
		return FormWAMP
	case core.TypeJSON:
		return FormJSON
	case core.TypeText:
		return FormText
	case "":
		switch {
		case json.Valid(data):
			return FormJSON
		case utf8.Valid(data):
			return FormText
		}
		return FormBytes
	}
	base, _, err := mime.ParseMediaType(mediaType)
	switch {
	case err != nil:
		return FormBytes
	case base == core.TypeWAMP:
		return FormWAMP
	case base == core.TypeJSON, strings.HasSuffix(base, "+json"):
		return FormJSON
	case strings.HasPrefix(base, "text/"):
		return FormText
	}
	return FormBytes
}

// JSON projects an event's data to one JSON value: WAMP data collapsed (see
// [Collapse]), JSON as it stands, text as a string, bytes as a base64 string.
func JSON(event *core.Event) (json.RawMessage, error) {
	switch FormOf(event.Type, event.Data) {
	case FormWAMP:
		return Collapse(event.Data)
	case FormJSON:
		if !json.Valid(event.Data) {
			return nil, invalid("is typed %q but is no JSON", event.Type)
		}
		return event.Data, nil
	case FormText:
		if !utf8.Valid(event.Data) {
			return nil, invalid("is typed %q but is not UTF-8", event.Type)
		}
		return quote(string(event.Data)), nil
	}
	return quote(base64.StdEncoding.EncodeToString(event.Data)), nil
}

// Text projects an event's data to one text: WAMP data collapsed, JSON and text
// as they stand, bytes as base64.
func Text(event *core.Event) (string, error) {
	switch FormOf(event.Type, event.Data) {
	case FormWAMP:
		collapsed, err := Collapse(event.Data)
		return string(collapsed), err
	case FormJSON, FormText:
		if !utf8.Valid(event.Data) {
			return "", invalid("is typed %q but is not UTF-8", event.Type)
		}
		return string(event.Data), nil
	}
	return base64.StdEncoding.EncodeToString(event.Data), nil
}

// Bytes projects an event's data to a body with its media type: WAMP data
// collapsed and typed JSON, everything else as it stands.
func Bytes(event *core.Event) (data []byte, mediaType string, err error) {
	if FormOf(event.Type, event.Data) == FormWAMP {
		collapsed, err := Collapse(event.Data)
		return collapsed, core.TypeJSON, err
	}
	return event.Data, event.Type, nil
}

// Collapse turns WAMP data into the one JSON value that other protocols carry:
// one argument and no keywords: that value; keywords only: the object; nothing:
// null; else {"args":…,"kwargs":…}.
func Collapse(wamp []byte) (json.RawMessage, error) {
	var data struct {
		Args   []json.RawMessage          `json:"args"`
		Kwargs map[string]json.RawMessage `json:"kwargs"`
	}
	if err := json.Unmarshal(wamp, &data); err != nil {
		return nil, invalid("is no WAMP data: %v", err)
	}
	switch {
	case len(data.Args) == 1 && len(data.Kwargs) == 0:
		return data.Args[0], nil
	case len(data.Args) == 0 && len(data.Kwargs) == 0:
		return json.RawMessage(`null`), nil
	case len(data.Args) == 0:
		return member(wamp, "kwargs")
	}
	return compact(wamp)
}

// member returns a member of a JSON object as it is written.
func member(object []byte, name string) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(object, &members); err != nil {
		return nil, invalid("is no WAMP data: %v", err)
	}
	return members[name], nil
}

func compact(value []byte) (json.RawMessage, error) {
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return nil, invalid("is no WAMP data: %v", err)
	}
	return b.Bytes(), nil
}

// quote makes a JSON string. Unlike json.Marshal it leaves <, > and & alone.
func quote(text string) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string is always JSON
	return bytes.TrimRight(b.Bytes(), "\n")
}

func invalid(format string, args ...any) *core.Refusal {
	return core.Refuse(core.CodePayload, "the event's data "+format, args...)
}
