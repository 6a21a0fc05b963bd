package crossbar

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxBuckets bounds how many clients a set of buckets knows. One that is
// forgotten starts with a full bucket.
const maxBuckets = 10_000

// Failed signatures that an address may have at once, and per second from then
// on, before its requests are refused unseen.
const (
	failureBurst = 20
	failureRate  = 1
)

// client is who a limit counts: a key or an address, the other being zero.
type client struct {
	key     string
	address netip.Addr
}

// buckets is a token bucket for each client.
type buckets struct {
	rate  rate.Limit
	burst int

	mu      sync.Mutex
	clients *recent[client, *rate.Limiter]
}

func newBuckets(perSecond rate.Limit, burst int) *buckets {
	return &buckets{rate: perSecond, burst: burst, clients: newRecent[client, *rate.Limiter](maxBuckets)}
}

// take takes a token. If there is none it returns how long until there is.
func (b *buckets) take(c client, now time.Time) (wait time.Duration) {
	reservation := b.bucket(c).ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
	}
	return wait
}

// look is take that leaves the token where it is.
func (b *buckets) look(c client, now time.Time) (wait time.Duration) {
	b.mu.Lock()
	bucket, known := b.clients.get(c)
	b.mu.Unlock()
	if !known {
		return 0
	}
	tokens := bucket.TokensAt(now)
	if tokens >= 1 {
		return 0
	}
	return time.Duration((1 - tokens) / float64(b.rate) * float64(time.Second))
}

func (b *buckets) bucket(c client) *rate.Limiter {
	b.mu.Lock()
	defer b.mu.Unlock()
	bucket, known := b.clients.get(c)
	if !known {
		bucket = rate.NewLimiter(b.rate, b.burst)
		b.clients.put(c, bucket)
	}
	return bucket
}

// subnet is what an address counts as for a limit: of IPv6, where everybody has
// many addresses, the network of 64 bits.
func subnet(address netip.Addr) netip.Addr {
	if !address.Is6() {
		return address
	}
	network, err := address.WithZone("").Prefix(64)
	if err != nil {
		return address
	}
	return network.Addr()
}

// gate counts the requests under way. The zero gate is open.
type gate struct {
	mu     sync.Mutex
	inside int
	idle   chan struct{} // closed when nobody is inside; nil while nobody waits
}

// enter lets a request in, unless limit are inside.
func (g *gate) enter(limit int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside >= limit {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if g.inside == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// wait returns when nobody is inside.
func (g *gate) wait() {
	g.mu.Lock()
	if g.inside == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	<-idle
}
