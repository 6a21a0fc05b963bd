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
	order  []*encodedEvent // those in recent, the oldest first
	bytes  int             // of those that are encoded
}

// How much is remembered: receivers of one publication ask for it within moments
// of each other.
const (
	sharedEvents = 256
	sharedBytes  = 8 << 20
)

// eventKey is what an EVENT's bytes depend on. Publication ids are random in
// the whole router.
type eventKey struct {
	codec                     *codec.Codec
	publication, subscription wamp.ID
	disclosed                 bool // it tells who publishes
}

type encodedEvent struct {
	key  eventKey
	once sync.Once
	data []byte
	err  error
	size int // what it counts in Events.bytes; under its lock
}

// NewEvents returns an empty store.
func NewEvents() *Events {
	return &Events{recent: make(map[eventKey]*encodedEvent)}
}

// encode returns the event's bytes, which nobody may change.
func (e *Events) encode(c *codec.Codec, event *wamp.Event) ([]byte, error) {
	_, disclosed := event.Details[wamp.RolePublisher]
	found := e.find(eventKey{c, event.Publication, event.Subscription, disclosed})
	found.once.Do(func() {
		found.data, found.err = c.Encode(event)
		e.weigh(found)
	})
	return found.data, found.err
}

func (e *Events) find(key eventKey) *encodedEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	found := e.recent[key]
	if found == nil {
		if len(e.order) == sharedEvents {
			e.forget()
		}
		found = &encodedEvent{key: key}
		e.recent[key] = found
		e.order = append(e.order, found)
	}
	return found
}

// weigh notes how large an event has become.
func (e *Events) weigh(event *encodedEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.recent[event.key] != event {
		return // forgotten meanwhile
	}
	event.size = len(event.data)
	e.bytes += event.size
	for e.bytes > sharedBytes {
		e.forget()
	}
}

// forget drops the oldest. e.mu is held.
func (e *Events) forget() {
	oldest := e.order[0]
	e.order[0] = nil
	e.order = e.order[1:]
	e.bytes -= oldest.size
	delete(e.recent, oldest.key)
}
