package permission

import "strings"

// covers reports whether every URI that the wanted pattern matches is matched
// by the rule too. Both are prefix or wildcard patterns.
func (r *Rule) covers(wanted *Rule) bool {
	switch {
	case r.Match == Prefix && wanted.Match == Prefix:
		return strings.HasPrefix(wanted.URI, r.URI)
	case r.Match == Prefix:
		return strings.HasPrefix(fixedHead(wanted.URI), r.URI)
	case wanted.Match == Prefix:
		return false // it matches URIs of any number of components
	}
	return eachPair(r.URI, wanted.URI, func(wide, narrow string) bool { return wide == "" || wide == narrow })
}

// meets reports whether some URI is matched by both patterns.
func (r *Rule) meets(wanted *Rule) bool {
	switch {
	case r.Match == Prefix && wanted.Match == Prefix:
		return strings.HasPrefix(wanted.URI, r.URI) || strings.HasPrefix(r.URI, wanted.URI)
	case r.Match == Prefix:
		return prefixMeetsWildcard(r.URI, wanted.URI)
	case wanted.Match == Prefix:
		return prefixMeetsWildcard(wanted.URI, r.URI)
	}
	return eachPair(r.URI, wanted.URI, func(a, b string) bool { return a == "" || b == "" || a == b })
}

// fixedHead is what every URI that matches the wildcard pattern begins with.
func fixedHead(pattern string) string {
	head := 0
	for {
		component, _, more := strings.Cut(pattern[head:], ".")
		if component == "" {
			return pattern[:head]
		}
		if !more {
			return pattern
		}
		head += len(component) + 1
	}
}

// prefixMeetsWildcard reports whether a URI that matches the wildcard pattern
// can begin with prefix.
func prefixMeetsWildcard(prefix, pattern string) bool {
	for {
		begin, restOfPrefix, moreOfPrefix := strings.Cut(prefix, ".")
		component, restOfPattern, moreOfPattern := strings.Cut(pattern, ".")
		if !moreOfPrefix {
			return component == "" || strings.HasPrefix(component, begin)
		}
		if component != "" && component != begin || !moreOfPattern {
			return false
		}
		prefix, pattern = restOfPrefix, restOfPattern
	}
}

// eachPair reports whether both patterns have as many components and fit holds
// for each pair of them.
func eachPair(a, b string, fit func(a, b string) bool) bool {
	for {
		first, restOfA, moreA := strings.Cut(a, ".")
		second, restOfB, moreB := strings.Cut(b, ".")
		if !fit(first, second) || moreA != moreB {
			return false
		}
		if !moreA {
			return true
		}
		a, b = restOfA, restOfB
	}
}
