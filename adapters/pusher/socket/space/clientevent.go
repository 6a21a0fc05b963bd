package space

import (
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core"
)

// Attributes of a client event on the bus.
const (
	metaSocketID = "pusher.socket_id"
	metaUserID   = "pusher.user_id"
)

// clientEvent handles an event that a client sends to the others on a channel.
func (l *Listener) clientEvent(m protocol.Message) {
	a := l.space.app.Load()
	sub := l.subscriptions[m.Channel]
	switch {
	case characters(m.Event) > a.Limits.EventName:
		l.complain("client_event", fmt.Sprintf("Client event rejected - the name has more than %d characters", a.Limits.EventName), m.Channel)
	case !a.ClientEvents:
		l.complain("client_events_off", "To send client events, you must enable this feature in the Settings.", m.Channel)
	case m.Channel == "" || m.Data == nil:
		l.complain("client_event", "Invalid client event (must contain channel and data)", m.Channel)
	case !channel.KindOf(m.Channel).TakesClientEvents():
		l.complain("client_event", "Client event rejected - only supported on private and presence channels", clip(m.Channel))
	case sub == nil:
		l.complain("client_event", "Client event rejected - no current subscription to channel "+clip(m.Channel), clip(m.Channel))
	case len(m.Data) > int(a.Limits.ClientEventData):
		l.complain("client_event", fmt.Sprintf("Client event rejected - the data has more than %d bytes", a.Limits.ClientEventData), m.Channel)
	case !l.mayEmit(a.Limits.ClientEventsPerSecond):
		l.space.options.Counts.Error("client_event_rate")
		l.error(protocol.CodeRateLimited, fmt.Sprintf("Client event rejected - more than %d client events per second", a.Limits.ClientEventsPerSecond), m.Channel)
	default:
		l.emit(sub, m)
	}
}

// mayEmit takes a token; a limit of 0 is none.
func (l *Listener) mayEmit(perSecond int) bool {
	if perSecond == 0 {
		return true
	}
	if l.events == nil || l.events.Burst() != perSecond {
		l.events = rate.NewLimiter(rate.Limit(perSecond), perSecond)
	}
	return l.events.AllowN(time.Now(), 1)
}

// emit gives the event to the other subscribers, here and elsewhere, and to the
// bus.
func (l *Listener) emit(sub *subscription, m protocol.Message) {
	text, userID := m.Text(), ""
	meta := map[string]string{metaSocketID: l.socketID}
	if sub.member != nil {
		userID = sub.member.ID
		meta[metaUserID] = userID
	}
	frame := protocol.Event(m.Event, m.Channel, text, userID)
	event := core.Event{
		Kind: core.KindClient, Space: l.space.id, Topic: m.Channel, Name: m.Event,
		Type: core.TypeText, Data: []byte(text),
		Except: core.Audience{core.AudienceSocket: {l.socketID}}, Meta: meta,
	}
	if json.Valid(event.Data) {
		event.Type = core.TypeJSON
	}
	s := l.space
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broadcast(sub.room, frame, l.conn)
	s.outside.event(m.Channel, frame, s.options.News)
	s.options.Emit(event)
}
