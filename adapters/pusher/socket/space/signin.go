package space

import (
	"fmt"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/adapters/pusher/socket/watch"
)

// user is a user with a connection that is signed in, or was a moment ago.
// space.mu guards it.
type user struct {
	id      string
	here    map[*Listener]struct{}
	awaited int                 // connections that were sent away and may come back
	others  map[string]struct{} // generations that have connections of the user
}

func (u *user) online() bool { return len(u.here)+u.awaited+len(u.others) > 0 }

// signIn handles pusher:signin.
func (l *Listener) signIn(m protocol.Message) {
	a := l.space.app.Load()
	userData, u, refused := l.identify(a, m.Fields())
	if refused != nil {
		l.space.options.Counts.Error("signin")
		l.error(protocol.CodeUnauthorized, refused.text, "")
		return
	}
	s := l.space
	s.mu.Lock()
	defer s.mu.Unlock()
	l.send(protocol.SignedIn(userData))
	if l.user != nil {
		return
	}
	now := time.Now()
	l.user, l.identity, l.authorized = s.user(u.ID), u, true
	l.user.here[l] = struct{}{}
	s.presence(now, l.user)
	s.watch(l, a, u.Watchlist)
	l.identity.Watchlist = nil // the board has it
	s.schedule(now)
}

// identify checks who signs in; the text is verified before anybody reads it.
func (l *Listener) identify(a *app.App, fields protocol.Fields) (userData string, u protocol.User, refused *refusal) {
	if !a.UserAuthentication {
		return "", u, unauthorized("Signing in is not enabled for this app")
	}
	auth, ok := fields.String("auth")
	userData, ok2 := fields.String("user_data")
	if !ok || !ok2 {
		return "", u, unauthorized("Signing in takes the strings auth and user_data")
	}
	key, signed, ok := signature.SplitAuth(auth)
	if !ok {
		return "", u, unauthorized("Auth value for signing in is invalid: should be of format 'key:signature'")
	}
	pair, ok := a.Pair(key)
	if !ok {
		return "", u, unauthorized("Invalid key in sign-in auth data: '%s'", clip(key))
	}
	if !pair.Secret.VerifyUser(signed, l.socketID, userData) {
		return "", u, unauthorized("Invalid signature: Expected HMAC SHA256 hex digest of %s::user::%s, but got %s", l.socketID, clip(userData), clip(signed))
	}
	u, err := protocol.ParseUser(userData)
	if err != nil {
		return "", u, unauthorized("%v", err)
	}
	if err := channel.CheckUserID(u.ID, a.Limits.UserID); err != nil {
		return "", u, unauthorized("user_data is invalid: %v", err)
	}
	if l.user != nil && l.user.id != u.ID {
		return "", u, unauthorized("This connection is signed in as another user already")
	}
	return userData, u, nil
}

// user returns the user of that id, who may be new. s.mu is held, as in all that
// follows.
func (s *Space) user(id string) *user {
	u := s.users[id]
	if u == nil {
		u = &user{id: id, here: make(map[*Listener]struct{})}
		s.users[id] = u
	}
	return u
}

// presence follows every change of a user.
func (s *Space) presence(now time.Time, u *user) {
	if s.shut {
		return
	}
	s.outside.touchUser(u.id, s.options.News)
	online := u.online()
	if !online {
		delete(s.users, u.id)
	}
	switch {
	case s.board == nil:
	case online:
		s.board.Online(now, u.id)
	default:
		s.board.Offline(now, u.id)
	}
}

// signOut ends what a connection that is closed had as a user's.
func (s *Space) signOut(now time.Time, l *Listener) {
	u := l.user
	if u == nil {
		return
	}
	if l.watcher != nil {
		l.watcher.Stop()
		l.watcher = nil
	}
	delete(u.here, l)
	if l.away && s.options.Return > 0 {
		u.awaited++
		s.later(s.options.Return, func(now time.Time) {
			u.awaited--
			s.presence(now, u)
		})
	}
	s.presence(now, u)
}

// watch makes a connection hear of the users on its watchlist, beginning with
// how things are.
func (s *Space) watch(l *Listener, a *app.App, watchlist []string) {
	if s.board == nil || len(watchlist) == 0 {
		return
	}
	if most := a.Limits.Watchlist; len(watchlist) > most {
		watchlist = watchlist[:most]
		s.options.Counts.Error("watchlist")
		l.error(protocol.CodeWatchlistSize, fmt.Sprintf("A watchlist has at most %d users: the others are not watched", most), "")
	}
	l.watcher = &watch.Watcher{Send: func(online, offline []string) { l.send(protocol.Watchlist(online, offline)) }}
	if online, offline := s.board.Watch(l.watcher, watchlist); len(online)+len(offline) > 0 {
		l.send(protocol.Watchlist(online, offline))
	}
}
