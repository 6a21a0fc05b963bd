package space

import (
	"slices"
	"strings"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/payload"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// Codes of refused events.
const (
	codeInvalidChannel = "invalid_channel"
	codeInvalidName    = "invalid_name"
	codeInvalidKind    = "invalid_kind"
)

// defaultName is the name of events that have none.
const defaultName = "message"

// Deliver hands an event to the clients that it is for. It does not wait for
// them; the caller waits for room before (wsout.Writer.Wait).
func (s *Space) Deliver(e *core.Event) core.Receipt {
	receivers, refusal := s.deliver(e)
	if refusal != nil {
		s.options.Counts.Refused.Inc()
		return core.Receipt{Err: refusal}
	}
	s.options.Counts.Accepted.Inc()
	return core.Receipt{Receivers: receivers}
}

func (s *Space) deliver(e *core.Event) (receivers int, refusal *core.Refusal) {
	a := s.app.Load()
	name, refusal := eventName(a, e)
	if refusal != nil {
		return 0, refusal
	}
	only, refusal := audienceOf(e.Only)
	if refusal != nil {
		return 0, refusal
	}
	data, err := payload.Text(e)
	if err != nil {
		return 0, core.AsRefusal(err)
	}
	if e.Direct {
		return s.deliverDirect(e, only, name, data)
	}
	topic, refusal := s.channelOf(a, e.Topic)
	if refusal != nil {
		return 0, refusal
	}
	return s.deliverChannel(e, only, topic, name, data), nil
}

// eventName is what clients get as the event's name.
func eventName(a *app.App, e *core.Event) (string, *core.Refusal) {
	switch {
	case e.Kind == core.KindHappening:
		return "", core.Refuse(codeInvalidKind, "happenings are not for clients: leave happening out of the edge's kinds")
	case e.Name == "":
		return defaultName, nil
	case strings.HasPrefix(e.Name, protocol.PrefixProtocol), strings.HasPrefix(e.Name, protocol.PrefixInternal):
		return "", core.Refuse(codeInvalidName, "the event name %q is reserved for the server: choose one without pusher: or pusher_internal: in front", clip(e.Name))
	case characters(e.Name) > a.Limits.EventName:
		return "", core.Refuse(codeInvalidName, "the event name has more than %d characters (limits.event_name)", a.Limits.EventName)
	}
	return e.Name, nil
}

// channelOf is the channel of a topic, which another protocol may have named.
func (s *Space) channelOf(a *app.App, topic string) (string, *core.Refusal) {
	topic = s.escaped(topic)
	err := channel.Check(topic, a.Limits.ChannelNames())
	switch {
	case err != nil:
		return "", core.Refuse(codeInvalidChannel, "%v; set.topic can name another, escape: true replaces characters", err)
	case channel.KindOf(topic) == channel.User:
		return "", core.Refuse(codeInvalidChannel, "channel %q: '#' is not allowed: events for users are direct", clip(topic))
	}
	return topic, nil
}

// escaped is a topic as the channel it becomes.
func (s *Space) escaped(topic string) string {
	if s.options.Escape {
		return channel.Escape(topic)
	}
	return topic
}

// audience is whom an event is limited to; nil lists are no limit.
type audience struct{ users, sockets []string }

func (a *audience) limited() bool { return a.users != nil || a.sockets != nil }

// audienceOf reads an Only audience. A kind that this protocol does not know
// refuses the event.
func audienceOf(only core.Audience) (audience, *core.Refusal) {
	var a audience
	for kind, entries := range only {
		if entries == nil {
			entries = []string{}
		}
		switch kind {
		case core.AudienceUser:
			a.users = entries
		case core.AudienceSocket:
			a.sockets = entries
		default:
			return a, core.Refuse(core.CodeAudienceUnsupported, "Pusher clients are known by user and socket, not by %q", kind)
		}
	}
	return a, nil
}

// deliverChannel hands an event to the subscribers of a channel.
func (s *Space) deliverChannel(e *core.Event, only audience, topic, name, data string) int {
	frame := wsout.Text(protocol.Event(name, topic, data, ""))
	s.mu.Lock()
	defer s.mu.Unlock()
	if channel.KindOf(topic).Caches() {
		s.remember(time.Now(), e, topic, name, data, frame)
	}
	r := s.rooms[topic]
	if r == nil {
		return 0
	}
	var n int
	if only.limited() {
		n = r.group.Send(frame, s.among(only, e.Except)...)
	} else {
		n = r.group.Broadcast(frame, s.named(e.Except)...)
	}
	s.options.Counts.Sent.Add(float64(n))
	return n
}

// deliverDirect hands an event to users.
func (s *Space) deliverDirect(e *core.Event, only audience, name, data string) (receivers int, refusal *core.Refusal) {
	if only.users == nil {
		return 0, core.Refuse(core.CodeInvalidEvent, "a direct event names users in only.user")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[string]struct{}, len(only.users))
	for _, id := range only.users {
		if _, twice := seen[id]; twice || s.users[id] == nil {
			continue
		}
		seen[id] = struct{}{}
		frame := wsout.Text(protocol.Event(name, channel.ForUser(id), data, ""))
		for _, conn := range s.among(audience{users: []string{id}, sockets: only.sockets}, e.Except) {
			if conn.Send(frame) {
				receivers++
			}
		}
	}
	s.options.Counts.Sent.Add(float64(receivers))
	return receivers, nil
}

// among are the connections of a limited audience. s.mu is held.
func (s *Space) among(only audience, except core.Audience) []*wsout.Conn {
	var conns []*wsout.Conn
	spared := s.named(except)
	add := func(l *Listener) {
		for _, conn := range spared {
			if conn == l.conn {
				return
			}
		}
		conns = append(conns, l.conn)
	}
	if only.users == nil {
		for _, id := range only.sockets {
			if l := s.listeners[id]; l != nil {
				add(l)
			}
		}
		return conns
	}
	for _, id := range only.users {
		if u := s.users[id]; u != nil {
			for l := range u.here {
				if only.sockets == nil || slices.Contains(only.sockets, l.socketID) {
					add(l)
				}
			}
		}
	}
	return conns
}

// named are the connections of users and sockets, for an Except audience. s.mu is
// held.
func (s *Space) named(except core.Audience) []*wsout.Conn {
	var conns []*wsout.Conn
	for _, id := range except[core.AudienceSocket] {
		if l := s.listeners[id]; l != nil {
			conns = append(conns, l.conn)
		}
	}
	for _, id := range except[core.AudienceUser] {
		if u := s.users[id]; u != nil {
			for l := range u.here {
				conns = append(conns, l.conn)
			}
		}
	}
	return conns
}
