package wamp

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/payload"
)

// Meta keys of WAMP.
const (
	metaRole       = "wamp.role"        // the role to publish as
	metaRetain     = "wamp.retain"      // "true": keep it as the topic's retained event
	metaForwardFor = "wamp.forward_for" // JSON: the sessions that it comes from
)

// publications are what an event becomes: one PUBLISH, or one for each user
// that it is addressed to; none if it is for nobody. The messages share the
// payload, which nobody changes.
func publications(event *core.Event, maxURI int) ([]*nexus.Publish, *core.Refusal) {
	options, nobody, refusal := audience(event)
	if refusal != nil || nobody {
		return nil, refusal
	}
	data, err := payload.ToWAMP(event)
	if err != nil {
		return nil, core.AsRefusal(err)
	}
	if !event.Direct {
		return one(topicOf(event), options, data, maxURI)
	}
	users := slices.Compact(slices.Sorted(slices.Values(event.Only[core.AudienceUser])))
	if len(users) == 0 {
		return nil, core.Refuse(core.CodeNoTopic, "the event is addressed to users, and names none in its audience")
	}
	var all []*nexus.Publish
	for _, user := range users {
		own := nexus.Dict{}
		for name, value := range options {
			own[name] = value
		}
		own["eligible_authid"] = nexus.List{user}
		made, refusal := one(valid("user."+user), own, data, maxURI)
		if refusal != nil {
			return nil, refusal
		}
		all = append(all, made...)
	}
	return all, nil
}

func one(topic string, options nexus.Dict, data payload.WAMP, maxURI int) ([]*nexus.Publish, *core.Refusal) {
	switch {
	case len(topic) > maxURI:
		return nil, invalidURI("the topic has %d bytes, at most %d are allowed", len(topic), maxURI)
	case router.Reserved(topic):
		return nil, invalidURI("topics under wamp. and bridge. are reserved")
	}
	return []*nexus.Publish{{
		Options: options, Topic: nexus.URI(topic), Arguments: data.Args, ArgumentsKw: data.Kwargs,
	}}, nil
}

func invalidURI(format string, args ...any) *core.Refusal {
	return core.Refuse(string(nexus.ErrInvalidURI), format, args...)
}

// topicOf is the event's topic, with its name as a further component. WAMP data
// comes from WAMP endpoints, whose topics are taken as they are.
func topicOf(event *core.Event) string {
	topic := event.Topic
	asIs := payload.FormOf(event.Type, event.Data) == payload.FormWAMP
	if !asIs {
		topic = valid(topic)
	}
	switch {
	case event.Name == "":
		return topic
	case asIs:
		return topic + "." + event.Name
	}
	return topic + "." + valid(event.Name)
}

// valid makes a URI of a text: white space and # become _, and so do empty
// components.
func valid(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '#' {
			return '_'
		}
		return r
	}, text)
	if text != "" && !strings.HasPrefix(text, ".") && !strings.HasSuffix(text, ".") && !strings.Contains(text, "..") {
		return text
	}
	components := strings.Split(text, ".")
	for i, c := range components {
		if c == "" {
			components[i] = "_"
		}
	}
	return strings.Join(components, ".")
}

// audience turns an event's audiences into options of PUBLISH. nobody says that
// the event is for nobody at all. The lists are always lists: the router takes a
// single value for no restriction.
func audience(event *core.Event) (options nexus.Dict, nobody bool, refusal *core.Refusal) {
	options = nexus.Dict{nexus.OptAcknowledge: true}
	for kind, entries := range event.Only {
		name, list, known := option(kind, "eligible", entries)
		if !known {
			return nil, false, core.Refuse(core.CodeAudienceUnsupported, "a WAMP router knows no %s: it cannot send to some of them only", kind)
		}
		nobody = nobody || len(list) == 0
		options[name] = list
	}
	for kind, entries := range event.Except {
		if name, list, known := option(kind, "exclude", entries); known && len(list) > 0 {
			options[name] = list
		}
	}
	return options, nobody, nil
}

// option is the name and the list of a kind of audience.
func option(kind, prefix string, entries []string) (name string, list nexus.List, known bool) {
	switch kind {
	case core.AudienceSession:
		return prefix, sessionIDs(entries), true
	case core.AudienceUser:
		return prefix + "_authid", names(entries), true
	case core.AudienceRole:
		return prefix + "_authrole", names(entries), true
	}
	return "", nil, false
}

func names(entries []string) nexus.List {
	list := make(nexus.List, len(entries))
	for i, entry := range entries {
		list[i] = entry
	}
	return list
}

// sessionIDs leaves out what cannot be the id of a session.
func sessionIDs(entries []string) nexus.List {
	list := nexus.List{}
	for _, entry := range entries {
		if id, err := strconv.ParseInt(entry, 10, 64); err == nil && id >= 1 && id <= nexus.MaxID {
			list = append(list, id)
		}
	}
	return list
}

// remoteOptions are the options that only an outside router has a use for.
func remoteOptions(event *core.Event, options nexus.Dict) *core.Refusal {
	if event.Meta[metaRetain] == "true" {
		options["retain"] = true
	}
	if text := event.Meta[metaForwardFor]; text != "" {
		value, err := payload.ToWAMP(&core.Event{Type: core.TypeJSON, Data: []byte(text)})
		if err != nil {
			return core.Refuse(core.CodeInvalidEvent, "meta %s is no JSON", metaForwardFor)
		}
		options["forward_for"] = value.Args[0]
	}
	return nil
}

// errorDetail is the args and kwargs of a WAMP error.
func errorDetail(args nexus.List, kwargs nexus.Dict) json.RawMessage {
	detail, err := payload.FromWAMP(args, kwargs)
	if err != nil {
		detail, _ = payload.FromWAMP(nexus.List{fmt.Sprint(args...)}, nil) // a text is always JSON
	}
	return detail
}
