package peer

import (
	"sync"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// Events lets the peers of a router share encoded EVENTs: one publication looks
// the same to all receivers of a subscription that speak the same serialization.
// It is safe for concurrent use.
type Events struct {
	mu     sync.Mutex
	recent map[eventKey]*encodedEvent
	order  [sharedEvents]eventKey // a ring: the keys in recent, by age
	next   int
}

// sharedEvents is how many encoded events are remembered. Receivers of one
// publication ask for it within moments of each other.
const sharedEvents = 256

// eventKey is what an EVENT's bytes depend on. Publication ids are random in
// the whole router.
type eventKey struct {
	codec                     *codec.Codec
	publication, subscription wamp.ID
	disclosed                 bool // it tells who publishes
}

type encodedEvent struct {
	encode sync.Once
	data   []byte
	err    error
}

// NewEvents returns an empty store.
func NewEvents() *Events {
	return &Events{recent: make(map[eventKey]*encodedEvent, sharedEvents)}
}

// encode returns the event's bytes, which nobody may change.
func (e *Events) encode(c *codec.Codec, event *wamp.Event) ([]byte, error) {
	_, disclosed := event.Details[wamp.RolePublisher]
	found := e.find(eventKey{c, event.Publication, event.Subscription, disclosed})
	found.encode.Do(func() { found.data, found.err = c.Encode(event) })
	return found.data, found.err
}

func (e *Events) find(key eventKey) *encodedEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.recent[key]
	if found == nil {
		found = new(encodedEvent)
		delete(e.recent, e.order[e.next])
		e.recent[key], e.order[e.next] = found, key
		e.next = (e.next + 1) % sharedEvents
	}
	return found
}
