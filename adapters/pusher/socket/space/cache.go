package space

import (
	"container/list"
	"encoding/json"
	"strings"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// cache holds the last event of each cache channel, within a number of bytes: the
// oldest give way.
type cache struct {
	most, bytes int
	byChannel   map[string]*list.Element // of *cached
	byAge       *list.List               // oldest first
	unsaved     map[string]struct{}
}

// cached is the last event of a channel, as it is stored.
type cached struct {
	Channel string    `json:"channel"`
	ID      string    `json:"id"` // of the event: later ones have greater ids
	Name    string    `json:"name"`
	Data    string    `json:"data"`
	Expires time.Time `json:"expires"`

	frame *wsout.Frame
}

// overhead is about what one cached event takes besides its bytes.
const overhead = 512

func (c *cached) size() int { return overhead + 3*len(c.Channel) + len(c.Name) + 2*len(c.Data) }

func newCache(most int) *cache {
	return &cache{most: most, byChannel: make(map[string]*list.Element), byAge: list.New(), unsaved: make(map[string]struct{})}
}

// get returns what is cached of a channel, nil if nothing is.
func (c *cache) get(channel string, now time.Time) *cached {
	element := c.byChannel[channel]
	if element == nil {
		return nil
	}
	held := element.Value.(*cached)
	if !held.Expires.After(now) {
		c.remove(element)
		return nil
	}
	return held
}

// put replaces what is cached of a channel, unless that is newer.
func (c *cache) put(held *cached, now time.Time) bool {
	if element := c.byChannel[held.Channel]; element != nil {
		if before := element.Value.(*cached); before.ID > held.ID {
			return false
		}
		c.remove(element)
	}
	c.byChannel[held.Channel] = c.byAge.PushBack(held)
	c.bytes += held.size()
	for oldest := c.byAge.Front(); oldest != nil; oldest = c.byAge.Front() {
		if c.bytes <= c.most && oldest.Value.(*cached).Expires.After(now) {
			break
		}
		c.remove(oldest)
	}
	return true
}

func (c *cache) remove(element *list.Element) {
	held := c.byAge.Remove(element).(*cached)
	delete(c.byChannel, held.Channel)
	c.bytes -= held.size()
}

// remember caches an event if it is one for every subscriber. An event for some,
// or not for some user, must not come to others who subscribe later; that one
// socket did not want its own event back does not matter to them.
func (s *Space) remember(now time.Time, e *core.Event, channel, name, data string, frame *wsout.Frame) {
	if e.Kind != core.KindMessage || len(e.Only) > 0 || len(e.Except[core.AudienceUser]) > 0 {
		return
	}
	s.cache.put(&cached{
		Channel: strings.Clone(channel), ID: strings.Clone(e.ID), Name: strings.Clone(name), Data: data,
		Expires: now.Add(s.app.Load().CacheTTL.Std()), frame: frame,
	}, now)
	s.cache.unsaved[strings.Clone(channel)] = struct{}{}
	s.options.Dirty()
	if s.ledger != nil {
		s.ledger.Filled(channel)
	}
}

// Cached is a stored event of the cache.
type Cached struct {
	Channel string
	Value   []byte // JSON; nil: nothing is cached any more
	TTL     time.Duration
}

// UnsavedCache returns the cached events that changed since it was last called.
func (s *Space) UnsavedCache() []Cached {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	all := make([]Cached, 0, len(s.cache.unsaved))
	for channel := range s.cache.unsaved {
		if held := s.cache.get(channel, now); held != nil {
			value, _ := json.Marshal(held) // strings and a time are always JSON
			all = append(all, Cached{channel, value, held.Expires.Sub(now)})
		} else {
			all = append(all, Cached{Channel: channel})
		}
	}
	clear(s.cache.unsaved)
	return all
}

// RestoreCache takes over stored events that are newer than its own.
func (s *Space) RestoreCache(values [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	for _, value := range values {
		held := new(cached)
		if json.Unmarshal(value, held) != nil || !held.Expires.After(now) {
			continue
		}
		held.frame = wsout.Text(protocol.Event(held.Name, held.Channel, held.Data, ""))
		s.cache.put(held, now)
	}
}
