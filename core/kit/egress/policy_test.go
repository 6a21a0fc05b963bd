package egress

import (
	"errors"
	"net/netip"
	"testing"
)

func TestPolicyOfStrangers(t *testing.T) {
	for address, permitted := range map[string]bool{
		"93.184.215.14": true, "8.8.8.8": true, "172.15.255.255": true, "172.32.0.0": true, "100.63.0.1": true, "100.128.0.0": true,
		"198.17.255.255": true, "223.255.255.255": true,
		"127.0.0.1": false, "127.255.255.254": false, "0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false,
		"192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.1": false, "203.0.113.9": false,
		"224.0.0.1": false, "239.1.1.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"2606:2800:21f:cb07:6820:80da:af6b:8b2c": true, "2a00:1450:4001:80b::200e": true,
		"::1": false, "::": false, "fc00::1": false, "fd12:3456::1": false, "fe80::1": false, "fe80::1%eth0": false, "fec0::1": false,
		"ff02::1": false, "2001:db8::1": false, "2001::1": false, "100::1": false, "3fff::1": false,
		"::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:8.8.8.8": true, "::127.0.0.1": false, "::8.8.8.8": false,
		"64:ff9b::7f00:1": false, "64:ff9b::808:808": true, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::808:808": false,
		"2002:7f00:1::": false, "2002:a00:1::1": false, "2002:808:808::1": true,
	} {
		err := Policy{}.Check("example.com", netip.AddrPortFrom(netip.MustParseAddr(address), 443))
		var forbidden *Forbidden
		if (err == nil) != permitted || err != nil && !errors.As(err, &forbidden) {
			t.Errorf("%s: %v, want permitted %v", address, err, permitted)
		}
	}
}

func TestPolicyExemptions(t *testing.T) {
	p, err := ParsePolicy([]string{"127.0.0.0/8", "10.1.2.3", "fd00::/8", "Hooks.Internal", "dotted.internal."}, []uint16{80, 8080})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		host, to  string
		permitted bool
	}{
		{"x", "127.0.0.1:80", true}, {"x", "[::ffff:127.0.0.1]:80", true}, {"x", "10.1.2.3:8080", true}, {"x", "[fd00::1]:80", true},
		{"x", "10.1.2.4:80", false}, {"x", "[::1]:80", false}, {"x", "127.0.0.1:81", false}, {"x", "8.8.8.8:443", false}, {"x", "8.8.8.8:80", true},
		{"hooks.internal", "192.168.0.1:80", true}, {"HOOKS.internal.", "192.168.0.1:80", true}, {"dotted.internal", "192.168.0.1:80", true},
		{"hooks.internal", "192.168.0.1:22", false}, {"evil.hooks.internal", "192.168.0.1:80", false},
	} {
		if err := p.Check(test.host, netip.MustParseAddrPort(test.to)); (err == nil) != test.permitted {
			t.Errorf("%s at %s: %v, want permitted %v", test.host, test.to, err, test.permitted)
		}
	}
	if err := (Policy{Anywhere: true}).Check("x", netip.MustParseAddrPort("127.0.0.1:0")); err == nil {
		t.Error("port 0 is permitted")
	}
	for _, entry := range []string{"", "10.0.0.0/33", "a b", "127.1", "0x7f.1", "2130706433", "http://x", "fe80::1%eth0"} {
		if p, err := ParsePolicy([]string{entry}, nil); err == nil {
			t.Errorf("%q is allowed: %+v", entry, p)
		}
	}
}

func TestNumberLikeHosts(t *testing.T) {
	for host, permitted := range map[string]bool{
		"example.com": true, "1.2.3.4": true, "::1": true, "3com.com": true, "x2": true, "1.2.3.4.example": true, "0xcafe.example": true,
		"2130706433": false, "127.1": false, "0x7f.1": false, "0x7f000001": false, "127.0.0.0x1": false, "0177.0.0.1": false, "1.": false, "0x": false,
	} {
		if err := (Policy{}).CheckHost(host); (err == nil) != permitted {
			t.Errorf("%s: %v, want permitted %v", host, err, permitted)
		}
	}
}

// Whatever the spelling of an address, only public ones pass, and checking never
// panics.
func FuzzCheckHost(f *testing.F) {
	for _, host := range []string{"127.0.0.1", "0x7f.1", "example.com", "::ffff:10.0.0.1", "2130706433", ""} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		err := Policy{}.CheckHost(host)
		if address, parsed := netip.ParseAddr(host); parsed == nil {
			if err != nil {
				t.Errorf("%q is an address and refused: %v", host, err)
			}
			permitted := Policy{}.Check(host, netip.AddrPortFrom(address, 1)) == nil
			if permitted && (address.IsPrivate() || address.IsLoopback() || address.Unmap().IsPrivate() || address.Unmap().IsLoopback()) {
				t.Errorf("%q is permitted", host)
			}
		}
		_, _ = ParsePolicy([]string{host}, nil)
	})
}
