package httpin

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// unixPeers in a list of trusted proxies means peers on a unix socket.
const unixPeers = "unix"

// Proxies are the peers whose forwarding headers count.
type Proxies struct {
	networks Networks
	unix     bool
}

// Client is who sent a request, as far as it can be known.
type Client struct {
	// Addr is the client's address; the zero Addr for a peer on a unix socket.
	Addr netip.Addr
	// Scheme ("http" or "https") and Host that the client asked for.
	Scheme, Host string
}

// NewProxies reads the trusted_proxies of a configuration.
func NewProxies(trusted []string) (Proxies, error) {
	networks, err := ParseNetworks(slices.DeleteFunc(slices.Clone(trusted), func(t string) bool { return t == unixPeers }))
	if err != nil {
		return Proxies{}, err
	}
	return Proxies{networks: networks, unix: slices.Contains(trusted, unixPeers)}, nil
}

// Client tells who sent the request. Forwarding headers count only if the peer
// is a trusted proxy; then the client is the last address in the chain that is
// not one.
func (p Proxies) Client(r *http.Request) Client {
	client := Client{Addr: peer(r), Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		client.Scheme = "https"
	}
	if !p.trusts(client.Addr) {
		return client
	}
	chain, scheme, host := forwarded(r.Header)
	for i := len(chain) - 1; i >= 0; i-- {
		address, ok := parseHop(chain[i])
		if !ok {
			break // unreadable: nothing to the left of it can be trusted
		}
		client.Addr = address
		if !p.networks.Contain(address) {
			break
		}
	}
	if scheme == "http" || scheme == "https" {
		client.Scheme = scheme
	}
	if host != "" {
		client.Host = host
	}
	return client
}

func (p Proxies) trusts(address netip.Addr) bool {
	if !address.IsValid() {
		return p.unix
	}
	return p.networks.Contain(address)
}

// peer is the address at the other end of the connection.
func peer(r *http.Request) netip.Addr {
	if address, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return address.Addr().Unmap()
	}
	return netip.Addr{}
}

// forwarded reads the headers of proxies: Forwarded (RFC 7239) if there is one,
// else the X-Forwarded family.
func forwarded(header http.Header) (chain []string, scheme, host string) {
	if values := header.Values("Forwarded"); len(values) > 0 {
		return rfc7239(strings.Join(values, ","))
	}
	for _, value := range header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(value, ",") {
			chain = append(chain, strings.TrimSpace(hop))
		}
	}
	return chain, strings.ToLower(lastItem(header, "X-Forwarded-Proto")), lastItem(header, "X-Forwarded-Host")
}

// lastItem is what the nearest proxy wrote.
func lastItem(header http.Header, name string) string {
	values := header.Values(name)
	if len(values) == 0 {
		return ""
	}
	last := values[len(values)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// rfc7239 reads a Forwarded header: elements divided by commas, their pairs by
// semicolons. Quoted values may hold neither here, since addresses do not.
func rfc7239(value string) (chain []string, scheme, host string) {
	for element := range strings.SplitSeq(value, ",") {
		hop := ""
		scheme, host = "", ""
		for pair := range strings.SplitSeq(element, ";") {
			name, text, _ := strings.Cut(pair, "=")
			text = strings.Trim(strings.TrimSpace(text), `"`)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "for":
				hop = text
			case "proto":
				scheme = strings.ToLower(text)
			case "host":
				host = text
			}
		}
		chain = append(chain, hop)
	}
	return chain, scheme, host
}

// parseHop reads an address with or without a port.
func parseHop(hop string) (netip.Addr, bool) {
	if address, err := netip.ParseAddr(strings.Trim(hop, "[]")); err == nil {
		return address.Unmap(), true
	}
	if host, _, err := net.SplitHostPort(hop); err == nil {
		if address, err := netip.ParseAddr(host); err == nil {
			return address.Unmap(), true
		}
	}
	return netip.Addr{}, false
}
