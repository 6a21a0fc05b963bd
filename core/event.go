package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Event is one normalized message. Data is carried verbatim, never re-encoded
// on the way.
//
// An event that was received (from a [Batch] or a replay) is read-only: it is
// shared with other receivers, and its strings and Data may share memory with
// other events of its batch. A receiver that keeps an event longer than its
// delivery keeps [Event.Clone] of it.
type Event struct {
	// ID is a UUIDv7 in its text form, given by the bus on arrival. IDs of one
	// node are strictly increasing. A source leaves it empty.
	ID string
	// Source is the name of the instance that emitted the event, given by the
	// bus. A source leaves it empty.
	Source string
	// Kind tells what an application pushed from what listeners did.
	Kind Kind
	// Space is the tenant that Topic lives in: a Pusher app id, a WAMP realm.
	// It is empty for protocols without tenants.
	Space string
	// Topic is where the event is addressed: a channel, a WAMP URI, the URL of
	// a hub topic.
	Topic string
	// Direct marks an event addressed to users (see Only); it has no topic.
	Direct bool
	// Name is the event's name inside its topic (Pusher, PushEx), empty where
	// the protocol has none.
	Name string
	// Time is the publisher's own time if it gave one. The bus fills in the
	// time of arrival where it is zero. It travels in nanoseconds, UTC.
	Time time.Time
	// Type is the media type of Data.
	Type string
	// Data is the payload as the publisher sent it.
	Data []byte
	// Only limits who may receive the event; nil means everybody.
	Only Audience
	// Except names who must not receive it, whatever Only says.
	Except Audience
	// Meta holds protocol attributes that have no field of their own, named
	// PROTOCOL.NAME ("wamp.retain").
	Meta map[string]string
	// Hops counts how often bridges published the event; the bus counts it up
	// on arrival and refuses an event beyond [MaxHops].
	Hops uint8
}

// Audience names receivers by kind ("user", "session", "role", "socket"). Kinds
// apply together, the entries of one kind are alternatives: in an Only
// audience a receiver must match one entry of every kind, in an Except audience
// one entry of any kind. A kind that is present with an empty list matches
// nobody.
//
// A sink that cannot evaluate a kind of Only refuses the event with
// [CodeAudienceUnsupported]; it never widens the audience. An Except kind that
// it does not know matches nobody there.
type Audience map[string][]string

// Kinds of an Audience that adapters agree on.
const (
	AudienceUser    = "user"    // an authenticated identity (WAMP authid, Pusher user id)
	AudienceSession = "session" // a WAMP session id, in decimal
	AudienceRole    = "role"    // a WAMP authrole
	AudienceSocket  = "socket"  // a Pusher socket id
)

// Kind says what an event is.
type Kind uint8

// The kinds of events. Edges carry messages and client events unless their
// file says otherwise.
const (
	KindMessage   Kind = iota // pushed by an application
	KindClient                // sent by a listener
	KindHappening             // something about listeners: channel_occupied, member_added, …

	kindEnd
)

// String returns the kind's name as configuration files spell it.
func (k Kind) String() string {
	switch k {
	case KindMessage:
		return "message"
	case KindClient:
		return "client"
	case KindHappening:
		return "happening"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Valid reports whether k is one of the defined kinds.
func (k Kind) Valid() bool { return k < kindEnd }

// ParseKind is the inverse of [Kind.String].
func ParseKind(name string) (Kind, error) {
	for k := KindMessage; k < kindEnd; k++ {
		if k.String() == name {
			return k, nil
		}
	}
	return 0, fmt.Errorf("unknown kind %q: want message, client or happening", name)
}

// Media types that the projections between protocols know by name.
const (
	TypeJSON = "application/json"
	TypeText = "text/plain"
	TypeBin  = "application/octet-stream"
	// TypeWAMP is WAMP data: a JSON object with the members args (a list) and
	// kwargs (an object), both always present.
	TypeWAMP = "application/vnd.bridge.wamp+json"
)

// Limits on one event. The bus refuses an event beyond any of them.
const (
	MaxEventBytes  = 16 << 20 // the whole event, encoded
	MaxTopicBytes  = 8 << 10
	MaxSpaceBytes  = 1 << 10
	MaxNameBytes   = 8 << 10
	MaxTypeBytes   = 1 << 10
	MaxMetaEntries = 64
	MaxHops        = 8
)

// Clone returns a copy of the event that shares no memory with it.
func (e Event) Clone() Event {
	e.ID = strings.Clone(e.ID)
	e.Source = strings.Clone(e.Source)
	e.Space = strings.Clone(e.Space)
	e.Topic = strings.Clone(e.Topic)
	e.Name = strings.Clone(e.Name)
	e.Type = strings.Clone(e.Type)
	e.Data = slices.Clone(e.Data)
	e.Only = e.Only.Clone()
	e.Except = e.Except.Clone()
	e.Meta = maps.Clone(e.Meta)
	return e
}

// Clone returns a deep copy; nil stays nil.
func (a Audience) Clone() Audience {
	if a == nil {
		return nil
	}
	clone := make(Audience, len(a))
	for kind, entries := range a {
		clone[kind] = slices.Clone(entries)
	}
	return clone
}
