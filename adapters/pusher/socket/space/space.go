package space

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/socket/happening"
	"github.com/pushbridge/bridge/adapters/pusher/socket/metrics"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/adapters/pusher/socket/watch"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// Options are what a Space needs of its instance. The functions are called with
// the Space's lock held: they must neither wait nor call the Space.
type Options struct {
	Writer *wsout.Writer
	// Escape makes illegal characters of topics "_".
	Escape bool
	// Return is how long a client may take to come back that was sent away or
	// whose generation is gone.
	Return time.Duration
	// CacheBytes is how much the cached events may take.
	CacheBytes int
	// Emit hands an event to the bus.
	Emit func(core.Event)
	// News says that Space.News has something.
	News func()
	// Dirty says that Space.Unsaved has something.
	Dirty func()
	// Counts are the metrics of the app.
	Counts *metrics.App
}

// Space is one app at work. Its methods may be called from any goroutine.
type Space struct {
	id      string
	options Options
	app     atomic.Pointer[app.App] // changes with mu held
	pong    *wsout.Frame

	mu        sync.Mutex
	shut      bool
	listeners map[string]*Listener // by socket id
	rooms     map[string]*room
	users     map[string]*user
	cache     *cache
	board     *watch.Board      // nil without watchlists
	ledger    *happening.Ledger // nil unless this generation is the owner
	outside   news              // what other generations have not heard
	alarm     *time.Timer       // for ledger and board
	alarmAt   time.Time         // when it rings; zero if it is not set
}

// New makes the Space of an app. The caller calls Shut.
func New(a *app.App, options Options) *Space {
	s := &Space{
		id: string(a.ID), options: options, pong: wsout.Text(protocol.Pong),
		listeners: make(map[string]*Listener), rooms: make(map[string]*room), users: make(map[string]*user),
		cache: newCache(options.CacheBytes),
	}
	s.Configure(a)
	return s
}

// Configure applies a changed configuration of the app. Connections stay as they
// are.
func (s *Space) Configure(a *app.App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app.Store(a)
	if s.ledger != nil {
		s.ledger.Delay = a.LeaveDelay.Std()
	}
	switch {
	case !a.Watchlist:
		s.board = nil
	case s.board == nil:
		s.board = watch.NewBoard(a.WatchlistWindow.Std(), a.WatchlistOfflineDelay.Std())
		for id, u := range s.users {
			if u.online() {
				s.board.Online(time.Now(), id)
			}
		}
	default:
		s.board.Window, s.board.OfflineDelay = a.WatchlistWindow.Std(), a.WatchlistOfflineDelay.Std()
	}
}

// Shut closes all connections and does nothing more: no timer, no happening.
func (s *Space) Shut(c protocol.Close) {
	s.mu.Lock()
	s.shut = true
	s.outside = news{}
	s.ledger = nil
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.mu.Unlock()
	s.CloseAll(c) // later ones are refused
}

// CloseAll closes all connections.
func (s *Space) CloseAll(c protocol.Close) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		l.Close(c)
	}
}

// Staying are the connections that nobody has sent away.
func (s *Space) Staying() []*Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*Listener
	for _, l := range s.listeners {
		if !l.away {
			all = append(all, l)
		}
	}
	return all
}

// schedule sets the alarm for what ledger and board have to do. s.mu is held.
func (s *Space) schedule(now time.Time) {
	next, set := time.Time{}, false
	if s.ledger != nil {
		next, set = s.ledger.Next()
		if s.ledger.Dirty() {
			s.options.Dirty()
		}
	}
	if s.board != nil {
		if at, waits := s.board.Next(); waits && (!set || at.Before(next)) {
			next, set = at, true
		}
	}
	if s.shut || !set || !s.alarmAt.IsZero() && !next.Before(s.alarmAt) {
		return
	}
	s.alarmAt = next
	if s.alarm == nil {
		s.alarm = time.AfterFunc(next.Sub(now), s.ring)
	} else {
		s.alarm.Reset(next.Sub(now))
	}
}

// ring is the alarm.
func (s *Space) ring() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return
	}
	s.alarmAt = time.Time{}
	now := time.Now()
	if s.ledger != nil {
		s.ledger.Due(now)
	}
	if s.board != nil {
		s.board.Due(now)
	}
	s.schedule(now)
}

// later runs f with the lock held, unless the Space is shut by then.
func (s *Space) later(d time.Duration, f func(now time.Time)) *time.Timer {
	return time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.shut {
			now := time.Now()
			f(now)
			s.schedule(now)
		}
	})
}
