package router

import (
	"slices"

	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/wamp"
)

// filter decides which subscribers a publication is for. It reads the options as
// the WAMP specification means them, where the core's own filter does not: a
// list that is present and empty is nobody's, not everybody's; a single value is
// a list of one; and there are no lists for details that clients choose
// themselves.
type filter struct {
	lists []list
}

// list is one option.
type list struct {
	of       func(*wamp.Session) any // what of a subscriber is looked up
	entries  map[any]struct{}
	eligible bool // only these, else all but these
}

// newFilter implements router.FilterFactory.
func newFilter(msg *wamp.Publish) router.PublishFilter {
	var f filter
	for _, option := range []struct {
		name     string
		of       func(*wamp.Session) any
		eligible bool
	}{
		{"exclude", sessionID, false}, {"exclude_authid", authID, false}, {"exclude_authrole", authRole, false},
		{"eligible", sessionID, true}, {"eligible_authid", authID, true}, {"eligible_authrole", authRole, true},
	} {
		value, present := msg.Options[option.name]
		if !present || value == nil {
			continue
		}
		f.lists = append(f.lists, list{of: option.of, entries: entries(value), eligible: option.eligible})
	}
	if f.lists == nil {
		return nil
	}
	return f
}

// Allowed implements router.PublishFilter.
func (f filter) Allowed(session *wamp.Session) bool {
	return !slices.ContainsFunc(f.lists, func(l list) bool {
		_, listed := l.entries[l.of(session)]
		return listed != l.eligible
	})
}

func sessionID(s *wamp.Session) any { return s.ID }
func authID(s *wamp.Session) any    { return s.Details["authid"] }
func authRole(s *wamp.Session) any  { return s.Details["authrole"] }

// entries are the values of an option: session ids and names. What is neither
// matches nobody.
func entries(value any) map[any]struct{} {
	values, isList := wamp.AsList(value)
	if !isList {
		values = wamp.List{value}
	}
	set := make(map[any]struct{}, len(values))
	for _, v := range values {
		if id, ok := wamp.AsID(v); ok {
			set[id] = struct{}{}
		} else if name, ok := v.(string); ok {
			set[name] = struct{}{}
		}
	}
	return set
}
