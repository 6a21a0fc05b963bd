package egress

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Policy says which addresses may be reached. The zero Policy permits public
// addresses and nothing else, which is what URLs of strangers need.
type Policy struct {
	// Anywhere permits every address, for URLs that the operator has written
	// down.
	Anywhere bool
	// Networks are permitted though they are not public.
	Networks []netip.Prefix
	// Hosts, in lower case, are permitted whatever they resolve to.
	Hosts []string
	// Ports that may be reached; none means any but 0.
	Ports []uint16
}

// Forbidden is the error about an address that the policy does not permit. Find
// it with [errors.As].
type Forbidden struct {
	// Reason is for the operator. Whoever gave the URL must not see it: it tells
	// what names resolve to inside.
	Reason string
}

// Error implements error.
func (f *Forbidden) Error() string { return "the outbound address policy forbids it: " + f.Reason }

func forbid(format string, args ...any) error {
	return &Forbidden{Reason: fmt.Sprintf(format, args...)}
}

// ParsePolicy makes a policy that permits, beside public addresses, what allow
// names: addresses, networks in CIDR form, and host names.
func ParsePolicy(allow []string, ports []uint16) (Policy, error) {
	p := Policy{Ports: ports}
	for _, entry := range allow {
		prefix, err := parseNetwork(entry)
		switch {
		case err == nil:
			p.Networks = append(p.Networks, prefix)
		case strings.ContainsAny(entry, "/: \t") || entry == "" || numberLike(entry):
			return p, fmt.Errorf("%q is neither a host, nor an address, nor a network: write example.internal, 10.1.2.3 or 10.0.0.0/8", entry)
		default:
			p.Hosts = append(p.Hosts, strings.ToLower(strings.TrimSuffix(entry, ".")))
		}
	}
	return p, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if strings.Contains(text, "/") {
		prefix, err := netip.ParsePrefix(text)
		return prefix.Masked(), err
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no address", text)
	}
	return netip.PrefixFrom(address, address.BitLen()), nil
}

// CheckHost refuses, before anything is resolved, hosts that look like numbers
// without being an address in its usual form: resolvers disagree on those.
func (p Policy) CheckHost(host string) error {
	if _, err := netip.ParseAddr(host); err == nil || p.Anywhere || !numberLike(host) {
		return nil
	}
	return forbid("%q is a number, not a host name: write an address with four decimal parts", host)
}

// numberLike reports whether a resolver might read the host as a number: its last
// part consists of digits, or of hexadecimal digits behind 0x.
func numberLike(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	digits, alphabet := last, "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		digits, alphabet = hex, "0123456789abcdef"
	}
	return last != "" && strings.Trim(digits, alphabet) == ""
}

// Check says whether a connection to an address may be made. host is the one of
// the URL. The error is a [*Forbidden].
func (p Policy) Check(host string, to netip.AddrPort) error {
	port := to.Port()
	if port == 0 || len(p.Ports) > 0 && !slices.Contains(p.Ports, port) {
		return forbid("port %d", port)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if p.Anywhere || slices.Contains(p.Hosts, host) {
		return nil
	}
	address := to.Addr().WithZone("").Unmap()
	for _, network := range p.Networks {
		if network.Contains(address) {
			return nil
		}
	}
	if !public(address) {
		return forbid("%s is not a public address", address)
	}
	return nil
}

// public reports whether an unmapped address is one of the public internet.
func public(address netip.Addr) bool {
	if !address.IsValid() || !address.IsGlobalUnicast() {
		return false // unspecified, loopback, link-local, multicast, broadcast
	}
	if inside, ok := embedded(address); ok && !public(inside) {
		return false
	}
	for _, network := range special {
		if network.Contains(address) {
			return false
		}
	}
	return true
}

// embedded is the IPv4 address that some IPv6 addresses lead to.
func embedded(address netip.Addr) (netip.Addr, bool) {
	if address.Is4() {
		return netip.Addr{}, false
	}
	bytes := address.As16()
	switch {
	case nat64.Contains(address):
		return netip.AddrFrom4([4]byte(bytes[12:16])), true
	case sixToFour.Contains(address):
		return netip.AddrFrom4([4]byte(bytes[2:6])), true
	}
	return netip.Addr{}, false
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// special are the networks without global reach of IANA's special-purpose
// registries that netip does not know by itself.
var special = parseAll(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fc00::/7", "fec0::/10",
)

func parseAll(networks ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(networks))
	for i, network := range networks {
		prefixes[i] = netip.MustParsePrefix(network)
	}
	return prefixes
}
