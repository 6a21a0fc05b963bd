package rest

import (
	"strconv"
	"strings"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/core"
)

// attributes is what a request wants to know of channels.
type attributes uint8

const (
	userCount attributes = 1 << iota
	subscriptionCount
	connectionCount // the old name of subscriptionCount
	cached
)

// attributeNames is never changed.
var attributeNames = [...]struct {
	name      string
	attribute attributes
}{
	{"user_count", userCount},
	{"subscription_count", subscriptionCount},
	{"connection_count", connectionCount},
	{"cache", cached},
}

// parseInfo reads a list of attributes, of which some are allowed.
func parseInfo(list string, allowed attributes) (attributes, *fault) {
	var wanted attributes
	if list == "" {
		return 0, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		one := attributeOf(strings.TrimSpace(name))
		if one&allowed == 0 {
			return 0, badField("info: %q is no attribute that can be asked for here", clip(name))
		}
		wanted |= one
	}
	return wanted, nil
}

func attributeOf(name string) attributes {
	for _, a := range &attributeNames {
		if a.name == name {
			return a.attribute
		}
	}
	return 0
}

// appendAttributes appends an object with what is wanted of a channel's state and
// applies to a channel of that name.
func appendAttributes(b []byte, name string, wanted attributes, state core.Channel) []byte {
	b = append(b, '{')
	start := len(b)
	member := func(name string) {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
	}
	if wanted&userCount != 0 && channel.KindOf(name).IsPresence() {
		member("user_count")
		b = strconv.AppendInt(b, int64(len(state.Users)), 10)
	}
	if wanted&subscriptionCount != 0 {
		member("subscription_count")
		b = strconv.AppendInt(b, int64(state.Subscriptions), 10)
	}
	if wanted&connectionCount != 0 {
		member("connection_count")
		b = strconv.AppendInt(b, int64(state.Subscriptions), 10)
	}
	return append(b, '}')
}
