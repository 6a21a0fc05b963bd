package crossbar

import (
	"fmt"
	"strconv"

	"github.com/pushbridge/bridge/core"
)

// Meta attributes of the events.
const (
	metaRole       = "wamp.role"
	metaRetain     = "wamp.retain"
	metaForwardFor = "wamp.forward_for"
)

// publishOptions are the publish options that mean something here, as written.
type publishOptions struct {
	exclude, excludeAuthID, excludeAuthRole    value
	eligible, eligibleAuthID, eligibleAuthRole value
	excludeMe, retain, forwardFor              value
}

// keep stores an option; of a repeated one the last counts, unknown ones are
// dropped.
func (o *publishOptions) keep(key []byte, v value) error {
	switch string(unquote(key)) {
	case "exclude":
		o.exclude = v
	case "exclude_authid":
		o.excludeAuthID = v
	case "exclude_authrole":
		o.excludeAuthRole = v
	case "eligible":
		o.eligible = v
	case "eligible_authid":
		o.eligibleAuthID = v
	case "eligible_authrole":
		o.eligibleAuthRole = v
	case "exclude_me":
		o.excludeMe = v
	case "retain":
		o.retain = v
	case "forward_for":
		o.forwardFor = v
	}
	return nil
}

// applyOptions checks the options, an object that was scanned, and puts what
// they say into the message.
func (l *live) applyOptions(m *message, object []byte) *fault {
	var o publishOptions
	s := scanner{data: object}
	if _, err := s.document(o.keep); err != nil {
		return badField("options must be an object")
	}
	for _, list := range [...]struct {
		name     string
		value    value
		audience *core.Audience
		kind     string
		read     func(value) (string, bool, bool)
		want     string
	}{
		{"exclude", o.exclude, &m.except, core.AudienceSession, sessionID, "an integer or a list of integers"},
		{"exclude_authid", o.excludeAuthID, &m.except, core.AudienceUser, identity, "a string or a list of strings"},
		{"exclude_authrole", o.excludeAuthRole, &m.except, core.AudienceRole, identity, "a string or a list of strings"},
		{"eligible", o.eligible, &m.only, core.AudienceSession, sessionID, "an integer or a list of integers"},
		{"eligible_authid", o.eligibleAuthID, &m.only, core.AudienceUser, identity, "a string or a list of strings"},
		{"eligible_authrole", o.eligibleAuthRole, &m.only, core.AudienceRole, identity, "a string or a list of strings"},
	} {
		if !list.value.given() {
			continue
		}
		entries, ok := readList(list.value, list.read)
		if !ok {
			return badField(fmt.Sprintf("options.%s must be %s", list.name, list.want))
		}
		if l.emptyMeansAll && list.audience == &m.only && list.value.kind == '[' && list.value.empty {
			continue
		}
		if *list.audience == nil {
			*list.audience = make(core.Audience, 1)
		}
		(*list.audience)[list.kind] = entries
	}
	return l.applyFlags(m, &o)
}

// applyFlags handles the options that are no audience.
func (l *live) applyFlags(m *message, o *publishOptions) *fault {
	if o.excludeMe.given() && !o.excludeMe.isBool() {
		return badField("options.exclude_me must be true or false")
	}
	if o.retain.given() && !o.retain.isBool() {
		return badField("options.retain must be true or false")
	}
	m.retain = o.retain.kind == 't'
	if !o.forwardFor.given() {
		return nil
	}
	if !isForwardFor(o.forwardFor) {
		return badField("options.forward_for must be a list of objects, each with session (integer), authid (string) and authrole (string)")
	}
	if l.config.TrustForwardFor && !o.forwardFor.empty {
		m.forwardFor = string(o.forwardFor.text)
	}
	return nil
}

func (v value) isBool() bool { return v.kind == 't' || v.kind == 'f' }

// isInteger reports whether a number is written without fraction and exponent.
func (v value) isInteger() bool {
	if v.kind != kindNumber {
		return false
	}
	for _, c := range v.text {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

// readList reads a list, or a single entry as a list of one. read returns an
// entry, whether it counts, and whether it is of the right type.
func readList(v value, read func(value) (entry string, counts, ok bool)) (entries []string, ok bool) {
	entries, ok = []string{}, true
	add := func(_ []byte, v value) error {
		entry, counts, fits := read(v)
		if !fits {
			ok = false
		} else if counts {
			entries = append(entries, entry)
		}
		return nil
	}
	if v.kind != '[' {
		_ = add(nil, v)
		return entries, ok
	}
	s := scanner{data: v.text}
	_, err := s.document(add)
	return entries, ok && err == nil
}

// maxID is the greatest WAMP id; the smallest is 1.
const maxID = 1 << 53

// sessionID reads a session id. Integers out of range are nobody's.
func sessionID(v value) (entry string, counts, ok bool) {
	if !v.isInteger() {
		return "", false, false
	}
	id, err := strconv.ParseUint(string(v.text), 10, 64)
	return string(v.text), err == nil && 1 <= id && id <= maxID, true
}

// identity reads an authentication id or a role.
func identity(v value) (entry string, counts, ok bool) {
	if v.kind != '"' {
		return "", false, false
	}
	return string(unquote(v.text)), true, true
}

// isForwardFor checks the shape of the option forward_for.
func isForwardFor(v value) bool {
	if v.kind != '[' {
		return false
	}
	ok := true
	s := scanner{data: v.text}
	_, err := s.document(func(_ []byte, hop value) error {
		ok = ok && isForwarded(hop)
		return nil
	})
	return ok && err == nil
}

// isForwarded checks one entry of forward_for.
func isForwarded(hop value) bool {
	if hop.kind != '{' {
		return false
	}
	var session, authID, authRole value
	s := scanner{data: hop.text}
	_, err := s.document(func(key []byte, v value) error {
		switch string(unquote(key)) {
		case "session":
			session = v
		case "authid":
			authID = v
		case "authrole":
			authRole = v
		}
		return nil
	})
	return err == nil && session.isInteger() && authID.kind == '"' && authRole.kind == '"'
}
