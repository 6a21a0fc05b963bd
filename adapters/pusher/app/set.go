package app

import (
	"slices"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
)

// App is one app at work. It is never changed.
type App struct {
	Config
	// Pairs are the enabled key pairs, in the order of the configuration. The
	// first signs webhooks.
	Pairs []Pair
}

// Pair is a key with the signatures that its secret makes.
type Pair struct {
	Key    string
	Secret *signature.Secret
}

// Pair returns the app's enabled pair of that key.
func (a *App) Pair(key string) (Pair, bool) {
	for _, pair := range a.Pairs {
		if pair.Key == key {
			return pair, true
		}
	}
	return Pair{}, false
}

// Emits reports whether the app wants the happening of that name on the bus.
func (a *App) Emits(happening string) bool { return slices.Contains(a.Happenings, happening) }

// Set is the apps of a configuration. It is never changed, so that a request or a
// connection that holds one sees the same apps from beginning to end.
type Set struct {
	apps  []*App
	byID  map[string]*App
	byKey map[string]owner
}

type owner struct {
	app  *App
	pair Pair
}

// NewSet makes a Set of configurations that [Check] found right.
func NewSet(configs []Config) *Set {
	s := &Set{byID: make(map[string]*App), byKey: make(map[string]owner)}
	for _, c := range configs {
		a := &App{Config: c}
		for _, k := range c.pairs() {
			if !k.Enabled {
				continue
			}
			pair := Pair{Key: k.Key, Secret: signature.NewSecret(string(k.Secret))}
			a.Pairs = append(a.Pairs, pair)
			s.byKey[k.Key] = owner{a, pair}
		}
		s.apps = append(s.apps, a)
		s.byID[string(c.ID)] = a
	}
	return s
}

// All are the apps in the order of the configuration.
func (s *Set) All() []*App { return s.apps }

// ByID returns the app of that id, enabled or not.
func (s *Set) ByID(id string) (*App, bool) {
	a, ok := s.byID[id]
	return a, ok
}

// ByKey returns the app, enabled or not, that an enabled key belongs to.
func (s *Set) ByKey(key string) (*App, Pair, bool) {
	o, ok := s.byKey[key]
	return o.app, o.pair, ok
}

// ForSpace returns the app that serves the events of a space: the only one, or
// the one whose id it is.
func (s *Set) ForSpace(space string) (*App, bool) {
	if len(s.apps) == 1 {
		return s.apps[0], true
	}
	return s.ByID(space)
}
