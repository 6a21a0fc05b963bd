package crossbar

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
)

// live is a configuration at work. It is never changed: a new configuration is a
// new live, and a request sees one of them from beginning to end.
type live struct {
	config   config
	keys     keyring
	endpoint *sender // of unsigned requests
	proxies  httpin.Proxies
	allowed  httpin.Networks // who may send requests; empty: everybody
	origins  origins

	bodyLimit     int64
	timeLimit     time.Duration
	semantic      bool
	emptyMeansAll bool
	idempotent    bool

	// rates are the buckets of rate_limit, nil if there is none.
	rates *buckets
}

// maxBurst bounds the burst that follows from a rate.
const maxBurst = 1e9

// newLive makes a live of a configuration that was checked. Buckets are taken
// over from the one before if the rate is the same.
func newLive(c config, before *live) (*live, error) {
	proxies, err := httpin.NewProxies(c.TrustedProxies)
	if err != nil {
		return nil, err
	}
	allowed, err := httpin.ParseNetworks(c.RequireIP)
	if err != nil {
		return nil, err
	}
	l := &live{
		config:        c,
		endpoint:      newSender("", c.Role, nil),
		proxies:       proxies,
		allowed:       allowed,
		origins:       newOrigins(c.CORSOrigins),
		bodyLimit:     bodyLimit(int64(c.PostBodyLimit), int64(c.Limits.MaxBody)),
		timeLimit:     time.Duration(c.TimestampLimit) * time.Second,
		semantic:      c.ErrorStatus == statusSemantic,
		emptyMeansAll: c.EmptyEligible == eligibleEveryone,
		idempotent:    c.Replay == replayIdempotent,
	}
	if keys := c.keys(); len(keys) > 0 {
		l.keys = newKeyring(keys, c.Role)
	}
	switch {
	case c.RateLimit == 0:
	case before != nil && before.config.RateLimit == c.RateLimit && before.config.RateBurst == c.RateBurst:
		l.rates = before.rates
	default:
		burst := c.RateBurst
		if burst == 0 {
			burst = int(min(max(c.RateLimit, 1), maxBurst))
		}
		l.rates = newBuckets(rate.Limit(c.RateLimit), burst)
	}
	return l, nil
}

// bodyLimit is the smaller of the limits that are set. A body beyond what an
// event may hold could not be published anyway.
func bodyLimit(limits ...int64) int64 {
	smallest := int64(core.MaxEventBytes)
	for _, limit := range limits {
		if limit > 0 {
			smallest = min(smallest, limit)
		}
	}
	return smallest
}

// signed reports whether requests must be signed.
func (l *live) signed() bool { return l.keys.senders != nil }
