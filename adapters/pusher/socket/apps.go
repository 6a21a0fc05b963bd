package socket

import (
	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/socket/space"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// apps are the apps of one configuration. It is never changed.
type apps struct {
	set  *app.Set
	byID map[string]*entry
}

// entry is one app at work.
type entry struct {
	app      *app.App
	space    *space.Space
	settings *wsout.Settings
}

// newApps makes the apps of a configuration. Those that were there before keep
// their connections, channels and caches.
func newApps(configs []app.Config, before *apps, open func(*app.App) *space.Space) *apps {
	made := &apps{set: app.NewSet(configs), byID: make(map[string]*entry)}
	for _, a := range made.set.All() {
		e := &entry{app: a, settings: socketSettings(&a.Config)}
		if old := before.entry(string(a.ID)); old != nil {
			e.space = old.space
			e.space.Configure(a)
		} else {
			e.space = open(a)
		}
		made.byID[string(a.ID)] = e
	}
	return made
}

// entry returns an app by its id, nil if there is none.
func (a *apps) entry(id string) *entry {
	if a == nil {
		return nil
	}
	return a.byID[id]
}

// forSpace returns the app that serves the events of a space, nil if none does.
func (a *apps) forSpace(name string) *entry {
	if found, ok := a.set.ForSpace(name); ok {
		return a.byID[string(found.ID)]
	}
	return nil
}
