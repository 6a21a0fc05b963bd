package httpin

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"
)

// ParseNetwork reads an address or a network: "127.0.0.1", "::1", "10.0.0.0/8",
// "192.168.0.0/255.255.0.0" (dotted mask) or "10.0.0.0/0.255.255.255" (inverse
// mask). Bits of the host part are masked off. Host names are errors.
func ParseNetwork(text string) (netip.Prefix, error) {
	host, mask, hasMask := strings.Cut(text, "/")
	address, err := netip.ParseAddr(host)
	if err != nil || address.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is no IP address or network (10.0.0.0/8, 192.168.0.0/255.255.0.0); host names are not allowed", text)
	}
	address = address.Unmap()
	if !hasMask {
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	if strings.Contains(mask, ".") {
		length, err := maskLength(mask)
		if err != nil || !address.Is4() {
			return netip.Prefix{}, fmt.Errorf("%q has no usable network mask", text)
		}
		return netip.PrefixFrom(address, length).Masked(), nil
	}
	prefix, err := netip.ParsePrefix(address.String() + "/" + mask)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q has no usable prefix length", text)
	}
	return prefix.Masked(), nil
}

// maskLength is the prefix length of a dotted mask, or of an inverse one. A mask
// of all zeros or all ones is taken as the plain form.
func maskLength(mask string) (int, error) {
	address, err := netip.ParseAddr(mask)
	if err != nil || !address.Is4() {
		return 0, fmt.Errorf("%q is no mask", mask)
	}
	four := address.As4()
	value := binary.BigEndian.Uint32(four[:])
	if value>>31 == 0 && value != 0 {
		value = ^value
	}
	length := bits.LeadingZeros32(^value)
	if value<<length != 0 {
		return 0, fmt.Errorf("%q has holes", mask)
	}
	return length, nil
}

// Networks is a list of networks.
type Networks []netip.Prefix

// ParseNetworks reads a list as [ParseNetwork] does.
func ParseNetworks(texts []string) (Networks, error) {
	networks := make(Networks, 0, len(texts))
	for _, text := range texts {
		network, err := ParseNetwork(text)
		if err != nil {
			return nil, err
		}
		networks = append(networks, network)
	}
	return networks, nil
}

// Contain reports whether one of the networks contains the address. An
// IPv4-mapped IPv6 address counts as the IPv4 address.
func (n Networks) Contain(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, network := range n {
		if network.Contains(address) {
			return true
		}
	}
	return false
}
