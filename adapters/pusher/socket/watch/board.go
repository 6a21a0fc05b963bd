package watch

import (
	"slices"
	"time"
)

// Board is who is online in an app, and who wants to know. Its methods are not
// for use by several goroutines at a time. The caller calls Due when the time
// comes that [Board.Next] names.
type Board struct {
	// Window is how long changes are gathered, OfflineDelay how long a user who
	// went is still online. They may change between calls.
	Window, OfflineDelay time.Duration

	users    map[string]*user
	watchers map[string]map[*Watcher]struct{} // by the user watched
	going    []departure                      // by deadline
	changed  map[string]struct{}              // users to look at when the window ends
	flush    time.Time                        // when it ends; zero if changed is empty
	turns    uint64
}

// user is one who is online.
type user struct {
	going uint64 // the departure that is held back; 0 if none
}

type departure struct {
	at   time.Time
	id   string
	turn uint64
}

// Watcher is one connection with a watchlist.
type Watcher struct {
	// Send gets what has changed. The lists are sorted; one may be empty. It must
	// not call the Board.
	Send func(online, offline []string)

	board *Board          // nil while it is on none
	known map[string]bool // what it was told of each user it watches
}

// NewBoard returns a board with nobody on it.
func NewBoard(window, offlineDelay time.Duration) *Board {
	return &Board{
		Window: window, OfflineDelay: offlineDelay,
		users: make(map[string]*user), watchers: make(map[string]map[*Watcher]struct{}),
		changed: make(map[string]struct{}),
	}
}

// Online says that a user has a connection.
func (b *Board) Online(now time.Time, id string) {
	if u := b.users[id]; u != nil {
		u.going = 0
		return
	}
	b.users[id] = &user{}
	b.change(now, id)
}

// Offline says that a user has no connection any more.
func (b *Board) Offline(now time.Time, id string) {
	u := b.users[id]
	if u == nil || u.going != 0 {
		return
	}
	b.turns++
	u.going = b.turns
	at := now.Add(b.OfflineDelay)
	if n := len(b.going); n > 0 && at.Before(b.going[n-1].at) {
		at = b.going[n-1].at
	}
	b.going = append(b.going, departure{at, id, b.turns})
	b.depart(now)
}

// Watch makes the watcher hear of the users and returns who of them is online
// and who is not, sorted. The caller calls Stop.
func (b *Board) Watch(w *Watcher, ids []string) (online, offline []string) {
	w.board, w.known = b, make(map[string]bool, len(ids))
	for _, id := range ids {
		if _, twice := w.known[id]; twice || id == "" {
			continue
		}
		_, here := b.users[id]
		w.known[id] = here
		if here {
			online = append(online, id)
		} else {
			offline = append(offline, id)
		}
		if b.watchers[id] == nil {
			b.watchers[id] = make(map[*Watcher]struct{})
		}
		b.watchers[id][w] = struct{}{}
	}
	slices.Sort(online)
	slices.Sort(offline)
	return online, offline
}

// Stop makes the watcher hear nothing more.
func (w *Watcher) Stop() {
	for id := range w.known {
		delete(w.board.watchers[id], w)
		if len(w.board.watchers[id]) == 0 {
			delete(w.board.watchers, id)
		}
	}
	w.known = nil
}

// change notes that watchers of the user may have something to hear.
func (b *Board) change(now time.Time, id string) {
	if b.watchers[id] == nil {
		return
	}
	if b.flush.IsZero() {
		b.flush = now.Add(b.Window)
	}
	b.changed[id] = struct{}{}
}

// Due takes users off whose time has come, and tells watchers at the end of a
// window.
func (b *Board) Due(now time.Time) {
	b.depart(now)
	if !b.flush.IsZero() && !b.flush.After(now) {
		b.flush = time.Time{}
		b.tell()
	}
}

func (b *Board) depart(now time.Time) {
	for len(b.going) > 0 && !b.going[0].at.After(now) {
		d := b.going[0]
		b.going = b.going[1:]
		if u := b.users[d.id]; u != nil && u.going == d.turn {
			delete(b.users, d.id)
			b.change(now, d.id)
		}
	}
	if len(b.going) == 0 {
		b.going = nil // lets go of what it has grown to
	}
}

// tell sends each watcher what is not as it was told.
func (b *Board) tell() {
	type news struct{ online, offline []string }
	all := make(map[*Watcher]*news)
	for id := range b.changed {
		_, here := b.users[id]
		for w := range b.watchers[id] {
			if w.known[id] == here {
				continue
			}
			w.known[id] = here
			if all[w] == nil {
				all[w] = &news{}
			}
			if here {
				all[w].online = append(all[w].online, id)
			} else {
				all[w].offline = append(all[w].offline, id)
			}
		}
	}
	clear(b.changed)
	for w, n := range all {
		slices.Sort(n.online)
		slices.Sort(n.offline)
		w.Send(n.online, n.offline)
	}
}

// Next is when Due has something to do; false if nothing waits.
func (b *Board) Next() (time.Time, bool) {
	switch {
	case len(b.going) == 0:
		return b.flush, !b.flush.IsZero()
	case b.flush.IsZero(), b.going[0].at.Before(b.flush):
		return b.going[0].at, true
	}
	return b.flush, true
}
