package socket

import (
	"net/url"
	"path"
	"strings"
)

// originAllowed reports whether a page of that origin may connect. A client that
// is no browser sends none. Patterns are for hosts with their ports, or, with a
// scheme, for the whole origin; * allows all, null is for pages from files. An
// empty list allows all.
func originAllowed(origin string, patterns []string) bool {
	if origin == "" || len(patterns) == 0 {
		return true
	}
	parsed, err := url.Parse(origin)
	if err != nil {
		return false
	}
	for _, pattern := range patterns {
		target := parsed.Host
		switch {
		case pattern == "*":
			return true
		case pattern == "null", strings.Contains(pattern, "://"):
			target = origin
		}
		if target == "" {
			continue
		}
		if matched, err := path.Match(strings.ToLower(pattern), strings.ToLower(target)); err == nil && matched {
			return true
		}
	}
	return false
}
