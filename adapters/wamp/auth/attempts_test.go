package auth

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

func TestAttempts(t *testing.T) {
	a := NewAttempts()
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	for n := range 40 {
		want := time.Duration(0)
		if n >= freeFailures {
			want = min(firstDelay<<min(n-freeFailures, 16), longestDelay)
		}
		if got := a.delay(one); got != want {
			t.Errorf("after %d failures: %v, want %v", n, got, want)
		}
		a.failed(one)
	}
	if a.delay(two) != 0 {
		t.Error("another address must wait")
	}
	a.succeeded(one)
	if a.delay(one) != 0 {
		t.Error("it must wait after a success")
	}
}

func TestAttemptsOfOneSite(t *testing.T) {
	a := NewAttempts()
	for n := range 5 {
		a.failed(netip.MustParseAddr(fmt.Sprintf("2001:db8:1:2::%d", n)))
	}
	if a.delay(netip.MustParseAddr("2001:db8:1:2:ffff::1")) == 0 {
		t.Error("addresses of one network do not count together")
	}
	if a.delay(netip.MustParseAddr("2001:db8:1:3::1")) != 0 {
		t.Error("addresses of two networks count together")
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	a := NewAttempts()
	for n := range maxAddresses + 100 {
		a.failed(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}))
	}
	if len(a.addresses) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(a.addresses))
	}
}

// TestWaitEnds wants a client that leaves not to be waited for.
func TestWaitEnds(t *testing.T) {
	a := NewAttempts()
	address := netip.MustParseAddr("192.0.2.1")
	for range 100 {
		a.failed(address)
	}
	client, router := peer.NewPipe("", "")
	client.Close()
	if a.wait(address, router) {
		t.Error("it waited")
	}
}
