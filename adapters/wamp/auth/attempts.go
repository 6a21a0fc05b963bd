package auth

import (
	"net/netip"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// Attempts counts failed logins by address and makes addresses that fail wait.
// It is safe for concurrent use.
type Attempts struct {
	mu        sync.Mutex
	addresses map[netip.Prefix]failures
}

type failures struct {
	count int
	last  time.Time
}

// NewAttempts returns a count of nothing.
func NewAttempts() *Attempts { return &Attempts{addresses: make(map[netip.Prefix]failures)} }

const (
	freeFailures   = 3 // people mistype
	firstDelay     = 250 * time.Millisecond
	longestDelay   = 8 * time.Second
	failureMemory  = 10 * time.Minute // after that an address starts afresh
	maxAddresses   = 10_000           // more are forgotten, the oldest first
	ipv6SiteLength = 64               // what one subscriber commonly has
)

// delay is how long the address must wait before its next login is looked at.
func (a *Attempts) delay(address netip.Addr) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	f := a.addresses[site(address)]
	if f.count < freeFailures || time.Since(f.last) > failureMemory {
		return 0
	}
	return min(firstDelay<<min(f.count-freeFailures, 16), longestDelay)
}

// wait waits as long as the address must, and reports false if the client left
// meanwhile.
func (a *Attempts) wait(address netip.Addr, client wamp.Peer) bool {
	delay := a.delay(address)
	if delay == 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-client.Recv(): // it has nothing to say before our challenge
		return false
	}
}

func (a *Attempts) failed(address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := site(address)
	f := a.addresses[key]
	if time.Since(f.last) > failureMemory {
		f.count = 0
	}
	if len(a.addresses) >= maxAddresses {
		a.forget()
	}
	a.addresses[key] = failures{count: f.count + 1, last: time.Now()}
}

func (a *Attempts) succeeded(address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.addresses, site(address))
}

// forget makes room: it drops the oldest of a few.
// a.mu is held.
func (a *Attempts) forget() {
	const looked = 64
	var oldest netip.Prefix
	n := 0
	for key, f := range a.addresses {
		if n == 0 || f.last.Before(a.addresses[oldest].last) {
			oldest = key
		}
		if n++; n == looked {
			break
		}
	}
	delete(a.addresses, oldest)
}

// site is what counts as one address.
func site(address netip.Addr) netip.Prefix {
	length := address.BitLen()
	if address.Is6() {
		length = ipv6SiteLength
	}
	prefix, _ := address.Prefix(length) // the zero Prefix for no address
	return prefix
}
