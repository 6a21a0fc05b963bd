package rest

import (
	"encoding/json"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/core/kit/httpin"
)

// live is a configuration at work. It is never changed: a new configuration is a
// new live, and a request sees one of them from beginning to end.
type live struct {
	config    config
	apps      *app.Set
	budgets   map[*app.App]budget
	proxies   httpin.Proxies
	bodyLimit int64
}

// newLive makes a live of a configuration. Budgets are taken over from the one
// before where an app's rates are the same.
func newLive(raw json.RawMessage, before *live) (*live, error) {
	c, err := read(raw)
	if err != nil {
		return nil, err
	}
	l := &live{config: c, apps: app.NewSet(c.Apps), budgets: make(map[*app.App]budget)}
	if l.proxies, err = httpin.NewProxies(c.TrustedProxies); err != nil {
		return nil, err
	}
	if l.bodyLimit, err = c.bodyLimit(raw); err != nil {
		return nil, err
	}
	for _, a := range l.apps.All() {
		l.budgets[a] = newBudget(a, before)
	}
	return l, nil
}

// budget is what an app may still do this second; nil stands for anything.
type budget struct{ publish, read *rate.Limiter }

func newBudget(a *app.App, before *live) budget {
	b := budget{publish: newLimiter(a.Limits.PublishPerSecond), read: newLimiter(a.Limits.ReadPerSecond)}
	if before == nil {
		return b
	}
	old, known := before.apps.ByID(string(a.ID))
	if !known {
		return b
	}
	if old.Limits.PublishPerSecond == a.Limits.PublishPerSecond {
		b.publish = before.budgets[old].publish
	}
	if old.Limits.ReadPerSecond == a.Limits.ReadPerSecond {
		b.read = before.budgets[old].read
	}
	return b
}

// newLimiter allows so many at once, and per second from then on.
func newLimiter(perSecond int) *rate.Limiter {
	if perSecond == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), perSecond)
}

// take takes n tokens, after the caller took kept of them. Where more are wanted
// than are ever there at once, all that are there will do. If there are not enough
// it takes none and returns how long until there are.
func take(l *rate.Limiter, n, kept int, now time.Time) (wait time.Duration) {
	if l == nil {
		return 0
	}
	if n = min(n, l.Burst()-kept); n <= 0 {
		return 0
	}
	reservation := l.ReserveN(now, n)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}
