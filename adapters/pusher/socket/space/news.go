package space

import (
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/peer"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// news is what other generations have not heard yet. While there are none,
// nothing is noted. space.mu guards it.
type news struct {
	shared bool // there are other generations
	rooms  map[string]struct{}
	users  map[string]struct{}
	events []peer.Event
	missed []string
	bytes  int // of events
}

// maxNewsBytes is how much client events for other generations may take; what
// comes beyond is lost to their clients.
const maxNewsBytes = 4 << 20

func (n *news) touchRoom(name string, wake func()) {
	if n.shared {
		n.rooms[name] = struct{}{}
		wake()
	}
}

func (n *news) touchUser(id string, wake func()) {
	if n.shared {
		n.users[id] = struct{}{}
		wake()
	}
}

func (n *news) event(channel string, frame []byte, wake func()) {
	if n.shared && n.bytes+len(frame) <= maxNewsBytes {
		n.events = append(n.events, peer.Event{Channel: channel, Frame: frame})
		n.bytes += len(frame)
		wake()
	}
}

func (n *news) miss(channel string, wake func()) {
	if n.shared {
		n.missed = append(n.missed, channel)
		wake()
	}
}

// Share notes all that there is as news, and what comes from now on; or stops
// noting any.
func (s *Space) Share(shared bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !shared || s.shut {
		s.outside = news{}
		return
	}
	s.outside.shared = true
	s.outside.rooms, s.outside.users = make(map[string]struct{}), make(map[string]struct{})
	for name := range s.rooms {
		s.outside.rooms[name] = struct{}{}
	}
	for id := range s.users {
		s.outside.users[id] = struct{}{}
	}
	s.options.News()
}

// newsRooms is how many rooms News looks at in one step, so that others get in
// between where there are many.
const newsRooms = 1000

// News returns what other generations have not heard, as it is now, or a part of
// it; then there is more. Events come behind the state that they came in.
func (s *Space) News() (told peer.News, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told.App = s.id
	for name := range s.outside.rooms {
		if len(told.Channels) == newsRooms {
			return told, true
		}
		delete(s.outside.rooms, name)
		told.Channels = append(told.Channels, s.own(name))
	}
	for id := range s.outside.users {
		u := s.users[id]
		told.Users = append(told.Users, peer.User{ID: id, Online: u != nil && len(u.here)+u.awaited > 0})
	}
	clear(s.outside.users)
	told.Events, told.Missed = s.outside.events, s.outside.missed
	s.outside.events, s.outside.missed, s.outside.bytes = nil, nil, 0
	return told, false
}

// own is what this generation has in a channel. s.mu is held.
func (s *Space) own(name string) peer.Channel {
	state := peer.Channel{Name: name}
	if r := s.rooms[name]; r != nil {
		state.Count = r.subscribers
		for _, m := range r.members {
			if m.here+m.awaited > 0 {
				state.Members = append(state.Members, m.Member)
			}
		}
	}
	return state
}

// Hear takes news of another generation.
func (s *Space) Hear(from string, told peer.News) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return
	}
	now := time.Now()
	for _, state := range told.Channels {
		s.hearRoom(now, from, state)
	}
	for _, state := range told.Users {
		s.hearUser(now, from, state)
	}
	for _, name := range told.Missed {
		if s.ledger != nil && s.rooms[name] != nil {
			s.ledger.Missed(name)
		}
	}
	for _, e := range told.Events {
		if r := s.rooms[e.Channel]; r != nil {
			s.options.Counts.Sent.Add(float64(r.group.Broadcast(wsout.Text(e.Frame))))
		}
	}
	s.schedule(now)
}

// hearRoom replaces what the other generation has in a channel. s.mu is held, as
// in all that follows.
func (s *Space) hearRoom(now time.Time, from string, state peer.Channel) {
	empty := state.Count == 0 && len(state.Members) == 0
	if empty && s.rooms[state.Name] == nil {
		return
	}
	r := s.room(state.Name, channel.KindOf(state.Name))
	before := r.others[from]
	after := other{count: state.Count, members: make(map[string]*member)}
	if r.kind.IsPresence() {
		for _, who := range state.Members {
			after.members[who.ID] = s.hearMember(r, who, before.members[who.ID])
		}
	}
	for id, m := range before.members {
		if after.members[id] == nil {
			m.others--
			s.leave(now, r, m)
		}
	}
	r.elsewhere += after.count - before.count
	if r.others == nil {
		r.others = make(map[string]other)
	}
	r.others[from] = after
	if empty {
		delete(r.others, from)
	}
	s.heard(now, r)
}

// hearMember returns the member that another generation has, who had it before
// if before is not nil.
func (s *Space) hearMember(r *room, who protocol.Member, before *member) *member {
	if before != nil {
		return before
	}
	m := s.enter(r, who)
	m.others++
	return m
}

// heard follows a change of a room that is another generation's: it is settled,
// but no news.
func (s *Space) heard(now time.Time, r *room) {
	shared := s.outside.shared
	s.outside.shared = false
	s.settle(now, r)
	s.outside.shared = shared
}

func (s *Space) hearUser(now time.Time, from string, state peer.User) {
	u := s.users[state.ID]
	if u == nil && !state.Online {
		return
	}
	u = s.user(state.ID)
	if u.others == nil {
		u.others = make(map[string]struct{})
	}
	if state.Online {
		u.others[from] = struct{}{}
	} else {
		delete(u.others, from)
	}
	shared := s.outside.shared
	s.outside.shared = false
	s.presence(now, u)
	s.outside.shared = shared
}

// Forget drops what a generation has said that is gone, once its clients had the
// time to come back.
func (s *Space) Forget(from string) {
	s.later(s.options.Return, func(now time.Time) {
		for name, r := range s.rooms {
			if _, said := r.others[from]; said {
				s.hearRoom(now, from, peer.Channel{Name: name})
			}
		}
		for id, u := range s.users {
			if _, said := u.others[from]; said {
				s.hearUser(now, from, peer.User{ID: id})
			}
		}
	})
}
