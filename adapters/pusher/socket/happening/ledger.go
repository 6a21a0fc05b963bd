package happening

import (
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
)

// Ledger is what the bus has been told of one app. Its methods are not for use
// by several goroutines at a time. The caller calls Due when the time comes that
// [Ledger.Next] names.
type Ledger struct {
	// Delay is how long a departure is held back. It may change between calls.
	Delay time.Duration
	// Emit gets what the bus is to be told, in order. user is empty for
	// happenings of a channel.
	Emit func(name, channel, user string)

	told   [shards]map[string]*channel
	dirty  uint64              // shards that changed since they were stored
	missed map[string]struct{} // cache channels that were found empty since they were filled
	queue  []departure         // by deadline
	turns  uint64
}

// channel is one that is known to be occupied.
type channel struct {
	leaving uint64 // the departure that is held back; 0 if none
	members map[string]*member
}

type member struct{ leaving uint64 }

// departure is a leave that is held back, unless its turn is no longer that of
// whom it is about.
type departure struct {
	at            time.Time
	channel, user string
	turn          uint64
}

// NewLedger returns a ledger of an app without listeners.
func NewLedger(delay time.Duration, emit func(name, channel, user string)) *Ledger {
	return &Ledger{Delay: delay, Emit: emit, missed: make(map[string]struct{})}
}

// at returns what is known of a channel, nil if it is not occupied.
func (l *Ledger) at(name string) *channel { return l.told[shardOf(name)][name] }

// put makes c what is known of a channel; nil for nothing.
func (l *Ledger) put(name string, c *channel) {
	shard := shardOf(name)
	switch {
	case c == nil:
		delete(l.told[shard], name)
	case l.told[shard] == nil:
		l.told[shard] = map[string]*channel{name: c}
	default:
		l.told[shard][name] = c
	}
	l.touch(name)
}

// touch notes that what is known of a channel has changed.
func (l *Ledger) touch(name string) { l.dirty |= 1 << shardOf(name) }

// Occupied says that the channel has a subscriber.
func (l *Ledger) Occupied(name string) {
	if c := l.at(name); c != nil {
		c.leaving = 0
		return
	}
	l.put(name, &channel{})
	l.Emit(app.ChannelOccupied, name, "")
}

// Vacated says that the channel has no subscriber any more.
func (l *Ledger) Vacated(now time.Time, name string) {
	if c := l.at(name); c != nil && c.leaving == 0 {
		c.leaving = l.hold(now, name, "")
		l.Due(now)
	}
}

// Joined says that the user has a connection in the channel, which is occupied.
func (l *Ledger) Joined(name, user string) {
	l.Occupied(name)
	c := l.at(name)
	if m := c.members[user]; m != nil {
		m.leaving = 0
		return
	}
	if c.members == nil {
		c.members = make(map[string]*member)
	}
	c.members[user] = &member{}
	l.touch(name)
	l.Emit(app.MemberAdded, name, user)
}

// Left says that the user has no connection in the channel any more.
func (l *Ledger) Left(now time.Time, name, user string) {
	if c := l.at(name); c != nil {
		if m := c.members[user]; m != nil && m.leaving == 0 {
			m.leaving = l.hold(now, name, user)
			l.Due(now)
		}
	}
}

// Missed says that a subscriber found no cached event.
func (l *Ledger) Missed(name string) {
	if _, known := l.missed[name]; known {
		return
	}
	l.missed[name] = struct{}{}
	l.touch(name)
	l.Emit(app.CacheMiss, name, "")
}

// Filled says that the channel has a cached event.
func (l *Ledger) Filled(name string) {
	if _, known := l.missed[name]; known {
		delete(l.missed, name)
		l.touch(name)
	}
}

// hold queues a departure and returns its turn. A shorter delay than before does
// not let it overtake.
func (l *Ledger) hold(now time.Time, name, user string) uint64 {
	l.turns++
	at := now.Add(l.Delay)
	if n := len(l.queue); n > 0 && at.Before(l.queue[n-1].at) {
		at = l.queue[n-1].at
	}
	l.queue = append(l.queue, departure{at, name, user, l.turns})
	return l.turns
}

// Due emits the departures whose time has come.
func (l *Ledger) Due(now time.Time) {
	for len(l.queue) > 0 && (!l.queue[0].at.After(now) || !l.stands(l.queue[0])) {
		first := l.queue[0]
		l.queue = l.queue[1:]
		if l.stands(first) {
			l.depart(first)
		}
	}
	if len(l.queue) == 0 {
		l.queue = nil // lets go of what it has grown to
	}
}

// Next is when Due has something to do; false if nothing is held back.
func (l *Ledger) Next() (time.Time, bool) {
	if len(l.queue) == 0 {
		return time.Time{}, false
	}
	return l.queue[0].at, true
}

// stands reports whether nobody has come back.
func (l *Ledger) stands(d departure) bool {
	c := l.at(d.channel)
	switch {
	case c == nil:
		return false
	case d.user == "":
		return c.leaving == d.turn
	}
	m := c.members[d.user]
	return m != nil && m.leaving == d.turn
}

func (l *Ledger) depart(d departure) {
	if d.user != "" {
		delete(l.at(d.channel).members, d.user)
		l.touch(d.channel)
		l.Emit(app.MemberRemoved, d.channel, d.user)
		return
	}
	l.put(d.channel, nil)
	delete(l.missed, d.channel) // so that they cannot pile up
	l.Emit(app.ChannelVacated, d.channel, "")
}
