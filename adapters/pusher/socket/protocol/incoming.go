package protocol

import (
	"bytes"
	"encoding/json"
	"errors"
)

// The events of the protocol that clients send, and the prefixes that mark them.
const (
	EventPing        = "pusher:ping"
	EventPong        = "pusher:pong"
	EventSubscribe   = "pusher:subscribe"
	EventUnsubscribe = "pusher:unsubscribe"
	EventSignIn      = "pusher:signin"

	PrefixProtocol = "pusher:"
	PrefixInternal = "pusher_internal:"
	PrefixClient   = "client-"
)

// Message is a frame from a client.
type Message struct {
	Event   string
	Channel string          // empty if there is none, or if it is no string
	Data    json.RawMessage // nil if there is none
}

// errNoMessage is the one error of Parse: clients are told no more.
var errNoMessage = errors.New("invalid message: want a JSON object with the string event")

// Parse reads a frame, which must be UTF-8. Members are told apart by case, and
// the last of a name counts.
func Parse(text []byte) (Message, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return Message{}, errNoMessage
	}
	event, ok := asString(members["event"])
	if !ok {
		return Message{}, errNoMessage
	}
	m := Message{Event: event, Data: members["data"]}
	m.Channel, _ = asString(members["channel"])
	return m, nil
}

// Fields are the members of an object.
type Fields map[string]json.RawMessage

// Fields reads data that is an object, or a string that holds one; nil if it is
// neither.
func (m Message) Fields() Fields {
	data := []byte(m.Data)
	if text, ok := asString(m.Data); ok {
		data = []byte(text)
	}
	var fields Fields
	if json.Unmarshal(data, &fields) != nil {
		return nil
	}
	return fields
}

// String returns a member that is a string.
func (f Fields) String(name string) (text string, ok bool) { return asString(f[name]) }

// Has reports whether there is such a member and it is not null.
func (f Fields) Has(name string) bool { return f[name] != nil && !isNull(f[name]) }

// Text is the data as the subscribers of a client event get it: a string as it
// is, anything else as compact JSON.
func (m Message) Text() string {
	if text, ok := asString(m.Data); ok {
		return text
	}
	var compact bytes.Buffer
	_ = json.Compact(&compact, m.Data) // Parse has read it
	return compact.String()
}

func asString(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 || raw[0] != '"' {
		return "", false
	}
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return "", false
	}
	return text, true
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }
