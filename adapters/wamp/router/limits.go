package router

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

// Limits are what can change while the router works. A change counts at once,
// but for Peer and MaxMessage, which count for connections made from then on.
type Limits struct {
	// Peer is how connections are treated; the router fills in Codec, Guard and
	// Events.
	Peer peer.Options
	// Origins are the patterns of allowed origins; see originAllowed.
	Origins []string
	// ClientOf tells who sent a request.
	ClientOf func(*http.Request) Client
	// MaxMessage, in bytes, bounds a client's message; MaxURI its URIs.
	MaxMessage int64
	MaxURI     int
	// MaxSessions bounds connections; MaxSessionsPerIP those of one address, 0
	// does not.
	MaxSessions, MaxSessionsPerIP int
	// MaxSubscriptions bounds those of one session.
	MaxSubscriptions int
	// PublishRate bounds a session's publications per second; more are delayed.
	PublishRate rate.Limit
	// HelloTimeout is how long a client may take to say HELLO, at most 5 s.
	HelloTimeout time.Duration
}

// Adjust makes other limits count. Nobody is disconnected who is beyond them.
func (r *Router) Adjust(limits Limits) {
	limits.Peer.Events = r.events
	r.limits.Store(&limits)
	for _, c := range r.current() {
		c.publishes.SetLimit(limits.PublishRate)
		c.publishes.SetBurst(burst(limits.PublishRate))
	}
}

// burst is how many publications may come at once: those of a second.
func burst(limit rate.Limit) int {
	const most = 1 << 30 // for no limit
	return int(min(max(limit, 1), most))
}
