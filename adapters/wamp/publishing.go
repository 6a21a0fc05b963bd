package wamp

import (
	"context"
	"slices"
	"sync"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// sessions are the bridge's own sessions that publish with its router: one for
// each realm and role, opened when first needed. Publications of one realm and
// role keep their order.
type sessions struct {
	router *router.Router

	mu     sync.Mutex
	open   map[sessionKey]*session.Session
	source map[string]nexus.ID // the session that listens in a realm
	closed bool
}

type sessionKey struct{ realm, role string }

func newSessions(r *router.Router) *sessions {
	return &sessions{router: r, open: make(map[sessionKey]*session.Session), source: make(map[string]nexus.ID)}
}

// exclude keeps what the bridge publishes in a realm from its own session that
// listens there.
func (s *sessions) exclude(realm string, id nexus.ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.source[realm] = id
}

// publish publishes as the role; see session.Publish.
func (s *sessions) publish(ctx context.Context, realm, role string, msg *nexus.Publish, answer func(session.Outcome)) error {
	opened, source, err := s.get(ctx, sessionKey{realm, role})
	if err != nil {
		return err
	}
	if source != 0 {
		excluded, _ := nexus.AsList(msg.Options[nexus.BlacklistKey])
		msg.Options[nexus.BlacklistKey] = slices.Concat(excluded, nexus.List{source}) // the list may be another message's too
	}
	return opened.Publish(ctx, msg, answer)
}

// joinPatience is how long joining the router of the same process may take.
const joinPatience = 5 * time.Second

// get returns the session, and the one that must not hear what it publishes.
func (s *sessions) get(ctx context.Context, key sessionKey) (*session.Session, nexus.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, 0, session.ErrClosed
	}
	opened := s.open[key]
	if opened == nil || opened.Err() != nil {
		ctx, cancel := context.WithTimeout(ctx, joinPatience)
		defer cancel()
		var err error
		if opened, err = s.router.Join(ctx, key.realm, key.role); err != nil {
			return nil, 0, err
		}
		s.open[key] = opened
	}
	return opened, s.source[key.realm], nil
}

// close leaves all sessions.
func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, opened := range s.open {
		leave(opened)
	}
}

// leavePatience is how long the router may take to answer GOODBYE.
const leavePatience = time.Second

// leave ends one of the bridge's own sessions.
func leave(s *session.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), leavePatience)
	defer cancel()
	s.Close(ctx, nexus.CloseRealm)
}
