package space

import (
	"strings"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core"
)

// Channels answers core.OpChannelsList, for the connections of this generation.
func (s *Space) Channels(asked core.ChannelsParams) core.Channels {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := core.Channels{Channels: make(map[string]core.Channel)}
	add := func(r *room) {
		if r != nil && r.subscribers > 0 && strings.HasPrefix(r.name, asked.Prefix) {
			found.Channels[r.name] = r.state(asked.Users)
		}
	}
	if asked.Names != nil {
		for _, name := range asked.Names {
			add(s.rooms[name])
		}
		return found
	}
	for _, r := range s.rooms {
		add(r)
	}
	return found
}

func (r *room) state(users bool) core.Channel {
	c := core.Channel{Subscriptions: r.subscribers}
	if users {
		c.Users = r.users()
	}
	return c
}

// users are the members with a connection of this generation, or with one that it
// has sent away and that may come back: they are members for the others too.
func (r *room) users() []string {
	ids := []string{}
	for id, m := range r.members {
		if m.here+m.awaited > 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Channel answers core.OpChannelsGet.
func (s *Space) Channel(name string, asked core.ChannelParams) core.Channel {
	name = s.escaped(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	var c core.Channel
	if r := s.rooms[name]; r != nil {
		c = r.state(asked.Users)
	}
	if asked.Cache {
		if held := s.cache.get(name, time.Now()); held != nil {
			c.Cached = &core.CachedEvent{Name: held.Name, Data: held.Data, Expires: held.Expires}
		}
	}
	return c
}

// Members answers core.OpChannelsMembers.
func (s *Space) Members(name string) core.Members {
	name = s.escaped(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	m := core.Members{Known: channel.KindOf(name).IsPresence(), Users: []string{}}
	if r := s.rooms[name]; r != nil && m.Known {
		m.Users = r.users()
	}
	return m
}

// Disconnect answers core.OpUserDisconnect.
func (s *Space) Disconnect(id string) core.Disconnected {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[id]
	if u == nil {
		return core.Disconnected{}
	}
	for l := range u.here {
		l.Close(protocol.CloseTerminated)
	}
	return core.Disconnected{Connections: len(u.here)}
}
