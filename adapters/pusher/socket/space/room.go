package space

import (
	"fmt"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// room is a channel that somebody is in: a connection of this generation, one of
// another, or a member who is expected back. space.mu guards all of it.
type room struct {
	name  string
	kind  channel.Kind
	group *wsout.Group // of the connections of this generation

	subscribers int                // connections of this generation
	elsewhere   int                // connections of other generations
	members     map[string]*member // of all generations, by user id; nil but in presence channels
	others      map[string]other   // what other generations have said, by their name

	told    int       // the count that subscribers were last told
	tellNot time.Time // before this time they are not told again, if there are many
	telling bool      // a timer will
}

// member is a user in a presence channel.
type member struct {
	protocol.Member
	here    int // connections of this generation
	awaited int // connections that were sent away and may come back
	others  int // generations that have connections of the user
}

// other is what another generation has in a channel.
type other struct {
	count   int
	members map[string]*member
}

func (r *room) occupied() bool {
	return r.subscribers > 0 || r.elsewhere > 0 || len(r.members) > 0
}

func (r *room) count() int { return r.subscribers + r.elsewhere }

// room returns the room of a channel, which may be new. s.mu is held, as in all
// that follows.
func (s *Space) room(name string, kind channel.Kind) *room {
	r := s.rooms[name]
	if r == nil {
		r = &room{name: name, kind: kind, group: s.options.Writer.NewGroup()}
		if kind.IsPresence() {
			r.members = make(map[string]*member)
		}
		s.rooms[name] = r
	}
	return r
}

// join makes the connection a subscriber and answers it. The answer carries what
// the channel holds at this moment, and whatever comes after this moment comes
// behind it.
func (s *Space) join(now time.Time, a *app.App, l *Listener, kind channel.Kind, name string, who protocol.Member) *refusal {
	r := s.rooms[name]
	if kind.IsPresence() && (r == nil || r.members[who.ID] == nil) && r.size() >= a.Limits.PresenceMembers {
		return &refusal{protocol.LimitReached, fmt.Sprintf("The channel is full: it has at most %d members", a.Limits.PresenceMembers)}
	}
	r = s.room(name, kind)
	sub := &subscription{room: r}
	if l.subscriptions == nil {
		l.subscriptions = make(map[string]*subscription)
	}
	l.subscriptions[name] = sub
	l.authorized = l.authorized || kind.NeedsAuth()
	r.subscribers++
	answer := protocol.Subscribed(name)
	if kind.IsPresence() {
		sub.member = s.enter(r, who)
		sub.member.here++
		answer = protocol.SubscribedPresence(name, r.list())
	}
	frames := append(make([]*wsout.Frame, 0, 2), wsout.Text(answer))
	missed := false
	if kind.Caches() {
		held := s.cache.get(name, now)
		if missed = held == nil; missed {
			frames = append(frames, wsout.Text(protocol.CacheMiss(name)))
		} else {
			frames = append(frames, held.frame)
		}
	}
	r.group.Join(l.conn, frames...)
	s.options.Counts.Subscriptions.Inc()
	s.settle(now, r)
	if missed {
		s.missed(name)
	}
	s.schedule(now)
	return nil
}

func (r *room) size() int {
	if r == nil {
		return 0
	}
	return len(r.members)
}

// list are the members, each once.
func (r *room) list() []protocol.Member {
	all := make([]protocol.Member, 0, len(r.members))
	for _, m := range r.members {
		all = append(all, m.Member)
	}
	return all
}

// part ends a subscription without an answer.
func (s *Space) part(now time.Time, l *Listener, name string) {
	sub := l.subscriptions[name]
	delete(l.subscriptions, name)
	r := sub.room
	r.subscribers--
	r.group.Leave(l.conn)
	s.options.Counts.Subscriptions.Dec()
	if m := sub.member; m != nil {
		m.here--
		if l.away && s.options.Return > 0 {
			m.awaited++
			s.later(s.options.Return, func(now time.Time) {
				m.awaited--
				s.leave(now, r, m)
				s.settle(now, r)
			})
		}
		s.leave(now, r, m)
	}
	s.settle(now, r)
}

// enter returns the member of that id. The others are told of one who is new.
func (s *Space) enter(r *room, who protocol.Member) *member {
	m := r.members[who.ID]
	if m == nil {
		m = &member{Member: who}
		r.members[who.ID] = m
		s.broadcast(r, protocol.MemberAdded(r.name, who))
		if s.ledger != nil {
			s.ledger.Joined(r.name, who.ID)
		}
	}
	return m
}

// leave takes a member out whom nothing holds any more.
func (s *Space) leave(now time.Time, r *room, m *member) {
	if m.here+m.awaited+m.others > 0 {
		return
	}
	delete(r.members, m.ID)
	s.broadcast(r, protocol.MemberRemoved(r.name, m.ID))
	if s.ledger != nil {
		s.ledger.Left(now, r.name, m.ID)
	}
}

func (s *Space) broadcast(r *room, frame []byte, except ...*wsout.Conn) int {
	n := r.group.Broadcast(wsout.Text(frame), except...)
	s.options.Counts.Sent.Add(float64(n))
	return n
}

// settle follows every change of a room.
func (s *Space) settle(now time.Time, r *room) {
	if s.shut {
		return
	}
	s.outside.touchRoom(r.name, s.options.News)
	occupied := r.occupied()
	if !occupied {
		delete(s.rooms, r.name)
	}
	switch {
	case s.ledger == nil:
	case occupied:
		s.ledger.Occupied(r.name)
	default:
		s.ledger.Vacated(now, r.name)
	}
	s.tellCount(now, r)
}

// Above crowd subscribers, a changed count is told at most once in crowdPace.
const (
	crowd     = 100
	crowdPace = 5 * time.Second
)

// tellCount tells the subscribers how many they are, if the app wants it.
func (s *Space) tellCount(now time.Time, r *room) {
	count := r.count()
	if count == r.told || r.telling || !r.kind.Counts() || !s.app.Load().SubscriptionCount {
		return
	}
	if count > crowd && now.Before(r.tellNot) {
		r.telling = true
		s.later(r.tellNot.Sub(now), func(now time.Time) {
			r.telling = false
			s.tellCount(now, r)
		})
		return
	}
	r.told, r.tellNot = count, now.Add(crowdPace)
	if count == 0 {
		return
	}
	s.broadcast(r, protocol.SubscriptionCount(r.name, count))
	if s.ledger != nil {
		s.emit(app.SubscriptionCount, r.name, protocol.CountJSON(count))
	}
}
