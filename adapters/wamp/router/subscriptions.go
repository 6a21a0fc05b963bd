package router

import (
	"sync"

	"github.com/gammazero/nexus/v3/wamp"
)

// subscriptions counts those of one session, asked for and granted, so that
// they can be bounded: each publication of the realm looks at every pattern.
type subscriptions struct {
	mu      sync.Mutex
	pending int
	granted map[wamp.ID]struct{}
}

// enter notes a request and reports false if there are too many.
func (s *subscriptions) enter(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending+len(s.granted) >= most {
		return false
	}
	s.pending++
	return true
}

func (s *subscriptions) joined(id wamp.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	if s.granted == nil {
		s.granted = make(map[wamp.ID]struct{})
	}
	s.granted[id] = struct{}{}
}

func (s *subscriptions) refused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
}

func (s *subscriptions) left(id wamp.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.granted, id)
}
