package wamp

import (
	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/core"
)

// The names of happenings: a topic has its first subscriber, or lost its last.
const (
	channelOccupied = "channel_occupied"
	channelVacated  = "channel_vacated"
)

// happenings turns the router's meta events about subscriptions into events. It
// is used by one session, whose handlers run one at a time.
type happenings struct {
	source *source
	realm  string
	topics map[nexus.ID]string // by subscription
}

func newHappenings(s *source, realm string) *happenings {
	return &happenings{source: s, realm: realm, topics: make(map[nexus.ID]string)}
}

// created handles wamp.subscription.on_create. Only subscriptions to one topic
// occupy one: of a pattern nobody can say what it occupies.
func (h *happenings) created(m *nexus.Event) {
	if len(m.Arguments) < 2 {
		return
	}
	details, _ := nexus.AsDict(m.Arguments[1])
	id, _ := nexus.AsID(details["id"])
	topic, _ := nexus.AsString(details["uri"])
	match, _ := nexus.AsString(details["match"])
	if id == 0 || match != "" && match != nexus.MatchExact || router.Reserved(topic) {
		return
	}
	h.topics[id] = topic
	h.emit(channelOccupied, topic)
}

// deleted handles wamp.subscription.on_delete.
func (h *happenings) deleted(m *nexus.Event) {
	if len(m.Arguments) < 2 {
		return
	}
	id, _ := nexus.AsID(m.Arguments[1])
	if topic, known := h.topics[id]; known {
		delete(h.topics, id)
		h.emit(channelVacated, topic)
	}
}

func (h *happenings) emit(name, topic string) {
	h.source.put(core.Event{
		Kind: core.KindHappening, Space: h.realm, Topic: topic, Name: name,
		Type: core.TypeJSON, Data: []byte(`{}`),
	})
}
