package permission

import (
	"cmp"
	"slices"
)

// Set is the rules of one role. It does not change, so it may be shared. The
// nil Set denies everything.
type Set struct {
	exact map[string]*Rule
	// patterns are the wildcard and then the prefix rules, the stronger before
	// the weaker: of the rules that match a URI the first decides.
	patterns []*Rule
}

// NewSet makes a Set of rules. Of two rules for the same URIs the earlier
// counts.
func NewSet(rules []Rule) *Set {
	s := &Set{exact: make(map[string]*Rule)}
	for i := range rules {
		rule := rules[i]
		if rule.Match != Exact {
			s.patterns = append(s.patterns, &rule)
		} else if s.exact[rule.URI] == nil {
			s.exact[rule.URI] = &rule
		}
	}
	slices.SortStableFunc(s.patterns, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(b.Match, a.Match), cmp.Compare(b.weight(), a.weight()))
	})
	return s
}

// weight orders the rules of one kind.
func (r *Rule) weight() int {
	if r.Match == Wildcard {
		return fixed(r.URI)
	}
	return len(r.URI)
}

// Decide returns the rule that decides the concrete URI. Without one everything
// is denied: then the returned rule allows nothing.
func (s *Set) Decide(uri string) Rule {
	if s == nil {
		return Rule{}
	}
	if rule := s.exact[uri]; rule != nil {
		return *rule
	}
	for _, rule := range s.patterns {
		if rule.matches(uri) {
			return *rule
		}
	}
	return Rule{}
}

// Allows reports whether the action is allowed on every URI that pattern
// matches. With Exact it is about the one URI.
//
// For a pattern it may say no although each URI that exists today is allowed,
// never the other way round.
func (s *Set) Allows(action Action, pattern string, match Match) bool {
	if match == Exact {
		return s.Decide(pattern).Allow[action]
	}
	if s == nil {
		return false
	}
	wanted := &Rule{URI: pattern, Match: match}
	for _, rule := range s.exact {
		if !rule.Allow[action] && wanted.matches(rule.URI) {
			return false
		}
	}
	// The first rule that covers the pattern decides what no stronger rule
	// decides; so all that matters is whether a stronger one denies a part.
	for _, rule := range s.patterns {
		if rule.covers(wanted) {
			return rule.Allow[action]
		}
		if !rule.Allow[action] && rule.meets(wanted) {
			return false
		}
	}
	return false
}
