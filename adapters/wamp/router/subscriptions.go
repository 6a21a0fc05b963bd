package router

import (
	"sync"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/permission"
)

// subscriptions are those of one session, asked for and granted. They are counted
// so that they can be bounded: each publication of the realm looks at every
// pattern.
type subscriptions struct {
	mu      sync.Mutex
	pending int
	asked   map[wamp.ID]string // topics by request
	granted map[wamp.ID]string // topics by subscription
}

// enter notes a request and reports false if there are too many.
func (s *subscriptions) enter(m *wamp.Subscribe, most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending+len(s.granted) >= most {
		return false
	}
	s.pending++
	if matchOf(m.Options) == permission.Exact {
		if s.asked == nil {
			s.asked = make(map[wamp.ID]string)
		}
		s.asked[m.Request] = string(m.Topic)
	}
	return true
}

func (s *subscriptions) joined(m *wamp.Subscribed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	if s.granted == nil {
		s.granted = make(map[wamp.ID]string)
	}
	if topic, exact := s.asked[m.Request]; exact || s.granted[m.Subscription] == "" {
		s.granted[m.Subscription] = topic
	}
	delete(s.asked, m.Request)
}

func (s *subscriptions) refused(request wamp.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	delete(s.asked, request)
}

func (s *subscriptions) left(id wamp.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.granted, id)
}

// topics are those subscribed to by name, not by a pattern.
func (s *subscriptions) topics() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	topics := make([]string, 0, len(s.granted))
	for _, topic := range s.granted {
		if topic != "" {
			topics = append(topics, topic)
		}
	}
	return topics
}
