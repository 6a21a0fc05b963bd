package permission

import "strings"

// Match says how a rule's or a subscription's URI is compared.
type Match uint8

// The ways to match.
const (
	Exact    Match = iota
	Prefix         // plain string prefix: com.my also matches com.myother.x
	Wildcard       // an empty component matches exactly one component
)

// String returns the match's name in WAMP.
func (m Match) String() string {
	return [...]string{Exact: "exact", Prefix: "prefix", Wildcard: "wildcard"}[m]
}

// ParseMatch reads the WAMP name of a match; "" is exact.
func ParseMatch(name string) (match Match, ok bool) {
	switch name {
	case "", "exact":
		return Exact, true
	case "prefix":
		return Prefix, true
	case "wildcard":
		return Wildcard, true
	}
	return Exact, false
}

// Starred reads a URI that says by its stars how to match: no star: exact; one
// star at the very end: prefix; else each star stands for one component.
func Starred(uri string) (string, Match) {
	switch head, tail, found := strings.Cut(uri, "*"); {
	case !found:
		return uri, Exact
	case tail == "":
		return head, Prefix
	}
	return strings.ReplaceAll(uri, "*", ""), Wildcard
}

// Action is what a role wants to do.
type Action uint8

// The actions.
const (
	Call Action = iota
	Register
	Publish
	Subscribe

	actions
)

// String returns the action's name.
func (a Action) String() string {
	return [actions]string{"call", "register", "publish", "subscribe"}[a]
}

// Rule allows some actions on the URIs that it matches, and denies the others.
type Rule struct {
	URI   string
	Match Match
	// Allow is indexed by Action.
	Allow [actions]bool
	// DiscloseCaller and DisclosePublisher tell callees and subscribers who
	// calls and publishes.
	DiscloseCaller, DisclosePublisher bool
}

// matches reports whether the rule is about the concrete URI.
func (r *Rule) matches(uri string) bool {
	switch r.Match {
	case Prefix:
		return strings.HasPrefix(uri, r.URI)
	case Wildcard:
		return wildcardMatches(r.URI, uri)
	}
	return uri == r.URI
}

// wildcardMatches reports whether the pattern matches the concrete URI.
func wildcardMatches(pattern, uri string) bool {
	for {
		want, restOfPattern, more := strings.Cut(pattern, ".")
		have, restOfURI, moreURI := strings.Cut(uri, ".")
		if want != "" && want != have || more != moreURI {
			return false
		}
		if !more {
			return true
		}
		pattern, uri = restOfPattern, restOfURI
	}
}

// fixed is the number of components of a wildcard pattern that must be equal.
func fixed(pattern string) int {
	n := 0
	for component := range strings.SplitSeq(pattern, ".") {
		if component != "" {
			n++
		}
	}
	return n
}
