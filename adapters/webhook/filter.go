package webhook

import "strings"

// serverToUser begins the names of the channels that carry one user's own events.
// They say nothing to the outside.
const serverToUser = "#server-to-user-"

// has reports whether what an element is called and its channel are wanted.
func (w *wanted) has(name, channel string) bool {
	return (w.types == nil || w.types[name]) &&
		!strings.HasPrefix(channel, serverToUser) &&
		strings.HasPrefix(channel, w.filter.StartsWith) &&
		strings.HasSuffix(channel, w.filter.EndsWith) &&
		w.pattern.MatchString(channel)
}
