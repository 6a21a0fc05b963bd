package core

import (
	"encoding/json"
	"fmt"
)

// Publication is what a source hands to the bus in one piece: one event, or
// several that belong together (one for each of a list of topics). Admission is
// all or nothing for each edge.
type Publication struct {
	// Events are published in their order. One that is malformed refuses the
	// whole publication.
	Events []Event
	// Ack says when Publish returns. The route's own setting counts if it is
	// stricter.
	Ack Ack
	// NeedID makes Publish wait, besides, for the receipt of the first sink in
	// file order that issues ids (Info.IssuesIDs): the WAMP publication id.
	NeedID bool
	// EventIDs asks for the ids that the bus gives the events, whatever becomes
	// of them: for each event there is a receipt with Event and EventID and
	// without a Sink. With AckSent it makes Publish wait for the bus.
	EventIDs bool
}

// Ack is what Publish waits for. The constants stand in order of strictness.
type Ack uint8

// The acknowledgements.
const (
	// AckRoute leaves it to the route (AckQueued unless its file says more).
	AckRoute Ack = iota
	// AckSent returns once the publication is on its way to the bus, within
	// the bounded window of this instance: the fastest, lost with a process.
	AckSent
	// AckQueued returns once the edges have it.
	AckQueued
	// AckFirst returns once one sink accepted every event.
	AckFirst
	// AckAll returns once every sink answered for every event.
	AckAll

	ackEnd
)

// String returns the name that configuration files use.
func (a Ack) String() string {
	switch a {
	case AckRoute:
		return "route"
	case AckSent:
		return "sent"
	case AckQueued:
		return "queued"
	case AckFirst:
		return "first"
	case AckAll:
		return "all"
	}
	return fmt.Sprintf("Ack(%d)", uint8(a))
}

// Valid reports whether a is one of the defined acknowledgements.
func (a Ack) Valid() bool { return a < ackEnd }

// ParseAck is the inverse of [Ack.String].
func ParseAck(name string) (Ack, error) {
	for a := AckRoute; a < ackEnd; a++ {
		if a.String() == name {
			return a, nil
		}
	}
	return 0, fmt.Errorf("unknown ack %q: want sent, queued, first or all", name)
}

// Receipt is what one sink says of one event.
type Receipt struct {
	// Sink is the name of the instance that answers; the bus fills it in. A
	// receipt without one is the bus's own (Publication.EventIDs).
	Sink string
	// Event is the index of the event within its Publication, EventID its
	// Event.ID, by which every sink knows it; the bus fills them in.
	Event   int
	EventID string
	// ID is the sink's own id for the event, if it has one.
	ID string
	// Receivers is the number of listeners reached, [ReceiversUnknown] if the
	// sink cannot know.
	Receivers int
	// Detail is an answer in the sink's protocol (a WAMP error's args and
	// kwargs), empty for most.
	Detail json.RawMessage
	// Err is nil when the event was accepted.
	Err *Refusal
}

// ReceiversUnknown is Receipt.Receivers of a sink that cannot count listeners.
const ReceiversUnknown = -1

// Accepted is the receipt of a sink that took the event and knows no more.
func Accepted() Receipt { return Receipt{Receivers: ReceiversUnknown} }
