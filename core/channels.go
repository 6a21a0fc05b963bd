package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// The ops about listeners, for every sink that has them. A sink answers for the
// connections of its own generation alone, since a Call reaches every generation
// of every sink; the one that asks merges ([MergeChannels] and its kin).
// Connections are therefore counted and users named: a connection is in one
// place only, a user may be in several.
const (
	// OpChannelsList asks for the channels of Space that have a subscriber.
	// Params: [ChannelsParams]. Answer: [Channels].
	OpChannelsList = "channels.list"
	// OpChannelsGet asks for the state of the channel Topic, occupied or not.
	// Params: [ChannelParams]. Answer: [Channel].
	OpChannelsGet = "channels.get"
	// OpChannelsMembers asks for the users present in the channel Topic.
	// Params: none. Answer: [Members].
	OpChannelsMembers = "channels.members"
	// OpUserDisconnect closes every connection of Space that is signed in as a
	// user, in such a way that it does not come back by itself.
	// Params: [UserParams]. Answer: [Disconnected].
	OpUserDisconnect = "user.disconnect"
	// OpListenersCount asks how many listeners are connected, whatever they listen
	// to; the bridge's status shows it. Params: none. Answer: [Listeners].
	OpListenersCount = "listeners.count"
)

// ChannelsParams are the parameters of [OpChannelsList].
type ChannelsParams struct {
	// Names are the channels that are asked for; absent: all.
	Names []string `json:"names,omitempty"`
	// Prefix is what the names must begin with.
	Prefix string `json:"prefix,omitempty"`
	// Users asks for [Channel.Users], which costs as much as there are.
	Users bool `json:"users,omitempty"`
}

// Channels is the answer to [OpChannelsList].
type Channels struct {
	// Channels are the occupied channels by name.
	Channels map[string]Channel `json:"channels"`
}

// ChannelParams are the parameters of [OpChannelsGet].
type ChannelParams struct {
	Users bool `json:"users,omitempty"` // asks for Channel.Users
	Cache bool `json:"cache,omitempty"` // asks for Channel.Cached
}

// Channel is the state of one channel, and the answer to [OpChannelsGet].
type Channel struct {
	// Subscriptions counts the connections subscribed; the channel is occupied if
	// it is not 0.
	Subscriptions int `json:"subscriptions"`
	// Users are the distinct users present, where the protocol knows users.
	Users []string `json:"users,omitempty"`
	// Cached is the event kept for new subscribers; nil: none is.
	Cached *CachedEvent `json:"cached,omitempty"`
}

// CachedEvent is the last event of a channel that keeps it.
type CachedEvent struct {
	Name    string    `json:"name,omitempty"`
	Data    string    `json:"data"` // as the subscribers get it
	Expires time.Time `json:"expires"`
}

// Members is the answer to [OpChannelsMembers].
type Members struct {
	// Known says that the sink knows who its subscribers are on this channel.
	Known bool     `json:"known"`
	Users []string `json:"users"`
}

// UserParams are the parameters of [OpUserDisconnect].
type UserParams struct {
	User string `json:"user"`
}

// Disconnected is the answer to [OpUserDisconnect].
type Disconnected struct {
	Connections int `json:"connections"` // that were closed
}

// Listeners is the answer to [OpListenersCount].
type Listeners struct {
	Connections int `json:"connections"`
}

// MergeChannels makes one of all answers to an [OpChannelsList]. An error of one
// sink is an error: half of a list would look like the whole.
func MergeChannels(answers []Answer) (Channels, error) {
	merged := Channels{Channels: make(map[string]Channel)}
	err := readAll(answers, func(c Channels) {
		for name, channel := range c.Channels {
			merged.Channels[name] = merged.Channels[name].with(channel)
		}
	})
	return merged, err
}

// MergeChannel makes one of all answers to an [OpChannelsGet].
func MergeChannel(answers []Answer) (Channel, error) {
	var merged Channel
	err := readAll(answers, func(c Channel) { merged = merged.with(c) })
	return merged, err
}

// MergeMembers makes one of all answers to an [OpChannelsMembers].
func MergeMembers(answers []Answer) (Members, error) {
	merged := Members{Users: []string{}}
	err := readAll(answers, func(m Members) {
		merged.Known = merged.Known || m.Known
		merged.Users = union(merged.Users, m.Users)
	})
	return merged, err
}

// MergeDisconnected makes one of all answers to an [OpUserDisconnect].
func MergeDisconnected(answers []Answer) (Disconnected, error) {
	var merged Disconnected
	err := readAll(answers, func(d Disconnected) { merged.Connections += d.Connections })
	return merged, err
}

// MergeListeners makes one of all answers to an [OpListenersCount].
func MergeListeners(answers []Answer) (Listeners, error) {
	var merged Listeners
	err := readAll(answers, func(l Listeners) { merged.Connections += l.Connections })
	return merged, err
}

// with adds another sink's view of the same channel.
func (c Channel) with(other Channel) Channel {
	c.Subscriptions += other.Subscriptions
	if len(other.Users) > 0 {
		c.Users = union(c.Users, other.Users)
	}
	if other.Cached != nil && (c.Cached == nil || other.Cached.Expires.After(c.Cached.Expires)) {
		c.Cached = other.Cached
	}
	return c
}

// union are the distinct entries of both, sorted.
func union(a, b []string) []string {
	set := make(map[string]struct{}, len(a)+len(b))
	for _, entries := range [][]string{a, b} {
		for _, entry := range entries {
			set[entry] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// readAll decodes the answers that have something to say.
func readAll[T any](answers []Answer, use func(T)) error {
	for _, answer := range answers {
		if answer.None {
			continue
		}
		if answer.Err != nil {
			return fmt.Errorf("answer of %s: %w", answer.Sink, answer.Err)
		}
		var value T
		if err := json.Unmarshal(answer.Data, &value); err != nil {
			return fmt.Errorf("answer of %s: %w", answer.Sink, err)
		}
		use(value)
	}
	return nil
}
