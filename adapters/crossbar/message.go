package crossbar

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pushbridge/bridge/core"
)

// message is a request's body, checked.
type message struct {
	topic string
	// args and kwargs are JSON as the client wrote it, "[]" and "{}" if empty.
	args, kwargs []byte
	only, except core.Audience
	retain       bool
	forwardFor   string // JSON, empty if there is none that counts
}

// parseMessage checks a body and finds the parts of it. The message's args and
// kwargs are parts of body.
func (l *live) parseMessage(body []byte) (message, *fault) {
	var topic, args, kwargs, opts value
	s := scanner{data: body}
	root, err := s.document(func(key []byte, v value) error {
		switch string(unquote(key)) {
		case "topic":
			topic = v
		case "args":
			args = v
		case "kwargs":
			kwargs = v
		case "options":
			opts = v
		}
		return nil
	})
	if err != nil {
		return message{}, unreadable(body, err)
	}
	switch {
	case root.kind != '{':
		return message{}, &fault{code: codeNotObject, status: http.StatusBadRequest,
			text: "Request body was valid JSON, but not well formed (must be a dict)."}
	case topic.kind == kindAbsent:
		return message{}, &fault{code: codeNoTopic, status: http.StatusBadRequest,
			text: "Request body was valid JSON, but not well formed (missing key 'topic')."}
	case topic.kind != '"':
		return message{}, badField("topic must be a string")
	}
	m := message{topic: string(unquote(topic.text))}
	if wrong := checkTopic(m.topic, l.config.MaxURILength); wrong != "" {
		return m, badField(wrong)
	}
	var wrong *fault
	if m.args, wrong = part("args", args, '[', "a list"); wrong != nil {
		return m, wrong
	}
	if m.kwargs, wrong = part("kwargs", kwargs, '{', "an object"); wrong != nil {
		return m, wrong
	}
	if opts.falsy() {
		return m, nil
	}
	if opts.kind != '{' {
		return m, badField("options must be an object")
	}
	return m, l.applyOptions(&m, opts.text)
}

// unreadable tells why a body is no JSON.
func unreadable(body []byte, err error) *fault {
	switch {
	case !utf8.Valid(body):
		return &fault{code: codeNotUTF8, status: http.StatusBadRequest, text: "Non-decodable request body, was not UTF-8."}
	case errors.Is(err, errDepth):
		return badField(fmt.Sprintf("Request body was nested deeper than %d levels.", maxDepth))
	}
	return &fault{code: codeNotJSON, status: http.StatusBadRequest, text: "Request body was invalid JSON."}
}

// part returns the JSON of args or kwargs.
func part(name string, v value, kind byte, want string) ([]byte, *fault) {
	if v.falsy() {
		if kind == '[' {
			return []byte("[]"), nil
		}
		return []byte("{}"), nil
	}
	if v.kind != kind {
		return nil, badField(name + " must be " + want)
	}
	return v.text, nil
}

// checkTopic says what is wrong with a topic by the loose rule for WAMP URIs; ""
// if nothing is.
func checkTopic(topic string, maxLength int) string {
	switch {
	case topic == "":
		return "topic must not be empty"
	case len(topic) > maxLength:
		return fmt.Sprintf("topic is longer than %d bytes", maxLength)
	case topic[0] == '.' || topic[len(topic)-1] == '.' || strings.Contains(topic, ".."):
		return "topic has an empty component: write one or more components joined by single dots"
	case strings.IndexFunc(topic, func(r rune) bool { return r == '#' || unicode.IsSpace(r) }) >= 0:
		return "topic must not contain white space or #"
	}
	return ""
}

// reserved reports whether applications may not publish on the topic.
func reserved(topic string) bool {
	return strings.HasPrefix(topic, "wamp.") || strings.HasPrefix(topic, "bridge.")
}

// appendData appends the event's data.
func (m *message) appendData(b []byte) []byte {
	b = append(b, `{"args":`...)
	b = append(b, m.args...)
	b = append(b, `,"kwargs":`...)
	b = append(b, m.kwargs...)
	return append(b, '}')
}
