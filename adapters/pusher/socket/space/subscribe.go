package space

import (
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
)

// subscribe handles pusher:subscribe.
func (l *Listener) subscribe(m protocol.Message) {
	fields := m.Fields()
	name, ok := fields.String("channel")
	if !ok {
		l.complain("invalid_request", "Missing parameter: data.channel", "")
		return
	}
	a := l.space.app.Load()
	kind := channel.KindOf(name)
	var refused *refusal
	if err := channel.Check(name, a.Limits.ChannelNames()); err != nil {
		refused = &refusal{protocol.InvalidRequest, err.Error()}
	} else if l.subscribed(name) {
		l.complain("existing_subscription", "Existing subscription to channel "+name, name)
		return
	} else if kind == channel.User {
		refused = l.subscribeUser(name)
	} else {
		refused = l.subscribeRoom(a, kind, name, fields)
	}
	if refused != nil {
		l.refuse(a, name, refused)
	}
}

func (l *Listener) subscribed(name string) bool {
	_, ok := l.subscriptions[name]
	return ok || l.toUser && name == channel.ForUser(l.identity.ID)
}

// refuse answers a subscription that was refused.
func (l *Listener) refuse(a *app.App, name string, r *refusal) {
	l.space.options.Counts.Error("subscription_" + r.kind.Type)
	if a.SubscriptionError == app.SubscriptionErrorPlain {
		l.error(protocol.CodeNone, r.text, name)
		return
	}
	l.send(protocol.SubscriptionError(name, r.kind, r.text))
}

// subscribeUser subscribes to the pseudo-channel of the user who has signed in.
// Events for users do not depend on it.
func (l *Listener) subscribeUser(name string) *refusal {
	if l.user == nil || name != channel.ForUser(l.identity.ID) {
		return unauthorized("Not signed in as the user of %s", name)
	}
	l.space.mu.Lock()
	defer l.space.mu.Unlock()
	l.toUser = true
	l.send(protocol.Subscribed(name))
	return nil
}

func (l *Listener) subscribeRoom(a *app.App, kind channel.Kind, name string, fields protocol.Fields) *refusal {
	if most := a.Limits.ChannelsPerConnection; most > 0 && len(l.subscriptions) >= most {
		return &refusal{protocol.LimitReached, fmt.Sprintf("A connection subscribes to at most %d channels", most)}
	}
	var member protocol.Member
	if kind.NeedsAuth() {
		channelData, refused := l.authorize(a, name, fields)
		if refused != nil {
			return refused
		}
		if kind.IsPresence() {
			if member, refused = l.member(a, channelData); refused != nil {
				return refused
			}
		}
	}
	l.space.mu.Lock()
	defer l.space.mu.Unlock()
	return l.space.join(time.Now(), a, l, kind, name, member)
}

// unsubscribe handles pusher:unsubscribe, which has no answer.
func (l *Listener) unsubscribe(m protocol.Message) {
	name, ok := m.Fields().String("channel")
	if !ok {
		l.complain("invalid_request", "Missing parameter: data.channel", "")
		return
	}
	if !l.subscribed(name) {
		l.complain("no_subscription", "No current subscription to channel "+clip(name)+", or subscription in progress", clip(name))
		return
	}
	s := l.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if channel.KindOf(name) == channel.User {
		l.toUser = false
		return
	}
	now := time.Now()
	s.part(now, l, name)
	s.schedule(now)
}

func characters(text string) int { return utf8.RuneCountInString(text) }
