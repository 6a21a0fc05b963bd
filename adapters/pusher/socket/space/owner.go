package space

import (
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/socket/happening"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core"
)

// Own makes this generation the one that tells the bus what happens, for all.
// parts are what the owner before had stored: whatever is different now is told.
func (s *Space) Own(parts [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut || s.ledger != nil {
		return
	}
	now := time.Now()
	s.ledger = happening.NewLedger(s.app.Load().LeaveDelay.Std(), s.happened)
	s.ledger.Restore(now, s.options.Return, parts)
	for name, r := range s.rooms {
		s.ledger.Occupied(name)
		for id := range r.members {
			s.ledger.Joined(name, id)
		}
	}
	s.ledger.Due(now)
	s.schedule(now)
}

// Yield ends what Own began.
func (s *Space) Yield() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger = nil
}

// Unsaved returns the parts of what the bus was told that changed since it was
// last called; an empty one is nil. Only the owner has any.
func (s *Space) Unsaved() map[int][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ledger == nil || len(s.app.Load().Happenings) == 0 {
		return nil
	}
	return s.ledger.Unsaved()
}

// happened tells the bus what the ledger says. s.mu is held.
func (s *Space) happened(name, channel, user string) {
	data := []byte(`{}`)
	if user != "" {
		data = protocol.UserJSON(user)
	}
	s.emit(name, channel, data)
}

// emit tells the bus of a happening, if the app wants it. s.mu is held.
func (s *Space) emit(name, channel string, data []byte) {
	if s.shut || !s.app.Load().Emits(name) {
		return
	}
	s.options.Emit(core.Event{
		Kind: core.KindHappening, Space: s.id, Topic: channel, Name: name, Type: core.TypeJSON, Data: data,
	})
}

// missed tells the owner that a subscriber found no cached event. s.mu is held.
func (s *Space) missed(channel string) {
	if s.ledger != nil {
		s.ledger.Missed(channel)
	} else {
		s.outside.miss(channel, s.options.News)
	}
}
