package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/core"
)

// message is an event as an application sends it, checked.
type message struct {
	name     string
	channels []string // distinct, in the order given
	data     []byte   // may share memory with the body
	socketID string   // who does not get it; empty: everybody does
	info     attributes
	key      string // idempotency_key; empty: none
}

// fields are the members of an event in JSON; nil ones are absent or null.
type fields struct{ name, data, channel, channels, socketID, info, key []byte }

// readFields finds the members of an event.
func readFields(object []byte) fields {
	var f fields
	eachMember(object, func(name, value []byte) {
		if field := f.named(string(name)); field != nil {
			*field = value
			if value[0] == 'n' {
				*field = nil
			}
		}
	})
	return f
}

func (f *fields) named(name string) *[]byte {
	switch name {
	case "name":
		return &f.name
	case "data":
		return &f.data
	case "channel":
		return &f.channel
	case "channels":
		return &f.channels
	case "socket_id":
		return &f.socketID
	case "info":
		return &f.info
	case "idempotency_key":
		return &f.key
	}
	return nil
}

// addQuery fills in what the body lacks from the query.
func (f *fields) addQuery(query signature.Query) {
	for _, p := range query {
		if field := f.named(p.Name); field != nil && *field == nil && field != &f.channels {
			*field = encode(p.Value)
		}
	}
	names := append(query.All("channels"), query.All("channels[]")...)
	if f.channels == nil && f.channel == nil && names != nil {
		f.channels = encode(names)
	}
}

// encode writes strings as JSON.
func encode(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		return nil // strings are always JSON
	}
	return text
}

// oversize is a fault that a batch does not turn into another status.
func oversize(limit int) *fault {
	return &fault{status: http.StatusRequestEntityTooLarge, reason: reasonData,
		text: fmt.Sprintf("The data content of this event exceeds the allowed maximum (%d characters)", limit)}
}

// check makes a message of the members of an event. An element of a batch has one
// channel.
func (f *fields) check(a *app.App, inBatch bool) (m message, wrong *fault) {
	limits := &a.Limits
	if m.name, wrong = checkName(f.name, limits.EventName); wrong != nil {
		return m, wrong
	}
	if m.channels, wrong = f.checkChannels(limits, inBatch); wrong != nil {
		return m, wrong
	}
	if m.data, wrong = checkData(f.data, limits.EventData); wrong != nil {
		return m, wrong
	}
	if m.socketID, wrong = text(f.socketID, "socket_id"); wrong != nil {
		return m, wrong
	}
	info, wrong := text(f.info, "info")
	if wrong != nil {
		return m, wrong
	}
	if m.info, wrong = parseInfo(info, userCount|subscriptionCount); wrong != nil {
		return m, wrong
	}
	if a.IdempotencyWindow > 0 {
		m.key, wrong = checkKey(f.key, limits.IdempotencyKey)
	}
	return m, wrong
}

// text is a member that is a string or absent.
func text(value []byte, name string) (string, *fault) {
	if value == nil {
		return "", nil
	}
	if value[0] != '"' {
		return "", badField("%s is not a string", name)
	}
	return string(unquote(value)), nil
}

func checkName(value []byte, limit int) (string, *fault) {
	name, wrong := text(value, "name")
	switch {
	case wrong != nil:
		return "", wrong
	case name == "":
		return "", badField("name is missing: give the name of the event")
	case len(name) > limit && utf8.RuneCountInString(name) > limit:
		return "", badField("name is too long: an event's name has at most %d characters", limit)
	case strings.HasPrefix(name, "pusher:"), strings.HasPrefix(name, "pusher_internal:"):
		return "", badField("name: names that begin with pusher: or pusher_internal: are reserved")
	}
	return name, nil
}

// checkChannels returns the distinct channels in the order given.
func (f *fields) checkChannels(limits *app.Limits, inBatch bool) ([]string, *fault) {
	if inBatch && f.channels != nil {
		return nil, badField("channels: an element of a batch has one channel, and names it in channel")
	}
	names, wrong := f.listChannels(limits.ChannelsPerEvent)
	if wrong != nil {
		return nil, wrong
	}
	for _, name := range names {
		if err := channel.Check(name, limits.ChannelNames()); err != nil {
			return nil, badField("%v", err)
		}
	}
	return distinct(names), nil
}

// listChannels returns the channels as they are given.
func (f *fields) listChannels(limit int) ([]string, *fault) {
	if f.channels != nil && f.channels[0] != '[' {
		return nil, badField("channels is not a list of strings")
	}
	var names []string
	if f.channels != nil {
		n := countElements(f.channels)
		if n > limit {
			return nil, badField("channels: an event has at most %d channels, not %d", limit, n)
		}
		names = make([]string, 0, n)
		ok := true
		eachElement(f.channels, func(value []byte) bool {
			if ok = value[0] == '"'; ok {
				names = append(names, string(unquote(value)))
			}
			return ok
		})
		if !ok {
			return nil, badField("channels is not a list of strings")
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	name, wrong := text(f.channel, "channel")
	if wrong == nil && name == "" {
		wrong = badField("channel is missing: give channel or channels")
	}
	return []string{name}, wrong
}

// distinct removes repetitions in place.
func distinct(names []string) []string {
	const few = 8
	if len(names) <= few {
		kept := names[:0]
		for _, name := range names {
			if !slices.Contains(kept, name) {
				kept = append(kept, name)
			}
		}
		return kept
	}
	seen := make(map[string]struct{}, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		_, again := seen[name]
		seen[name] = struct{}{}
		return again
	})
}

// checkData returns the data string: what is no string counts as its own compact
// text.
func checkData(value []byte, limit int) ([]byte, *fault) {
	if value == nil {
		return nil, badField("data is missing: give the data of the event as a string")
	}
	var data []byte
	if value[0] == '"' {
		data = unquote(value)
	} else {
		var compact bytes.Buffer
		if err := json.Compact(&compact, value); err != nil {
			return nil, badField("data is no JSON")
		}
		data = compact.Bytes()
	}
	if tooLarge(data, limit) {
		return nil, oversize(limit)
	}
	return data, nil
}

// tooLarge counts characters where bytes alone do not decide.
func tooLarge(data []byte, limit int) bool {
	return len(data) > limit && utf8.RuneCount(data) > limit
}

func checkKey(value []byte, limit int) (string, *fault) {
	if value == nil {
		return "", nil
	}
	key, wrong := text(value, "idempotency_key")
	if wrong == nil && (key == "" || utf8.RuneCountInString(key) > limit) {
		wrong = badField("idempotency_key has 1 to %d characters", limit)
	}
	return key, wrong
}

// appendEvents appends one event for each channel of the message.
func (m *message) appendEvents(events []core.Event, space string) []core.Event {
	event := core.Event{Kind: core.KindMessage, Space: space, Name: m.name, Type: core.TypeText, Data: m.data}
	if json.Valid(m.data) {
		event.Type = core.TypeJSON
	}
	if m.socketID != "" {
		event.Except = core.Audience{core.AudienceSocket: {m.socketID}}
	}
	for _, name := range m.channels {
		e := event
		e.Topic = name
		if id, ok := channel.UserOf(name); ok {
			e.Topic, e.Direct, e.Only = "", true, core.Audience{core.AudienceUser: {id}}
		}
		events = append(events, e)
	}
	return events
}
