package router

import (
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

// ServeHTTP makes a request a WebSocket and a session. It returns as soon as the
// connection stands, so that what the server keeps for a request is released;
// the session lives in goroutines of its own.
func (r *Router) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	limits := r.limits.Load()
	client := limits.ClientOf(request)
	chosen, refused := r.check(request, client, limits)
	if refused != nil {
		refused.write(w)
		return
	}
	c := &connection{
		router: r, address: client.Address, codec: chosen,
		publishes: rate.NewLimiter(limits.PublishRate, burst(limits.PublishRate)),
	}
	if refused := r.admit(c, limits); refused != nil {
		refused.write(w)
		return
	}
	conn, err := peer.Accept(w, request, chosen, limits.MaxMessage)
	if err != nil {
		r.forget(c)
		return // Accept has answered
	}
	options := limits.Peer
	options.Codec, options.Guard = chosen, c
	p := peer.New(conn, options)
	c.peer.Store(p)
	go c.attach(p)
}

// refusedRequest is an answer to a request that does not become a session.
type refusedRequest struct {
	status int
	text   string
}

func (e *refusedRequest) write(w http.ResponseWriter) {
	if e.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, e.text, e.status)
}

// check looks at what the request asks for.
func (r *Router) check(request *http.Request, client Client, limits *Limits) (*codec.Codec, *refusedRequest) {
	if !strings.EqualFold(request.Header.Get("Upgrade"), "websocket") {
		return nil, &refusedRequest{http.StatusUpgradeRequired, "this is a WAMP router: connect by WebSocket"}
	}
	if origin := request.Header.Get("Origin"); !originAllowed(origin, client.Host, limits.Origins) {
		return nil, &refusedRequest{http.StatusForbidden, "this origin is not allowed"}
	}
	for _, offer := range request.Header.Values("Sec-WebSocket-Protocol") {
		for name := range strings.SplitSeq(offer, ",") {
			for _, c := range r.options.Codecs {
				if strings.EqualFold(strings.TrimSpace(name), c.Subprotocol()) {
					return c, nil
				}
			}
		}
	}
	return nil, &refusedRequest{http.StatusBadRequest, "no subprotocol in common: this router speaks " + r.subprotocols()}
}

func (r *Router) subprotocols() string {
	var names []string
	for _, c := range r.options.Codecs {
		names = append(names, c.Subprotocol())
	}
	return strings.Join(names, ", ")
}

// originAllowed reports whether a page of that origin may connect. A client that
// is no browser sends none. The host that the request asked for is always
// allowed; patterns are for hosts with their ports, or, with a scheme, for the
// whole origin; * allows all, null is for pages from files.
func originAllowed(origin, host string, patterns []string) bool {
	if origin == "" {
		return true
	}
	parsed, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if parsed.Host != "" && strings.EqualFold(parsed.Host, host) {
		return true
	}
	for _, pattern := range patterns {
		target := parsed.Host
		switch {
		case pattern == "*":
			return true
		case pattern == "null", strings.Contains(pattern, "://"):
			target = origin
		}
		if matched, err := path.Match(strings.ToLower(pattern), strings.ToLower(target)); err == nil && matched && target != "" {
			return true
		}
	}
	return false
}

// admit counts the connection, if there is room for it.
func (r *Router) admit(c *connection, limits *Limits) *refusedRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return &refusedRequest{http.StatusServiceUnavailable, "this router is shutting down"}
	case len(r.connections) >= limits.MaxSessions:
		return &refusedRequest{http.StatusServiceUnavailable, "too many sessions"}
	case limits.MaxSessionsPerIP > 0 && r.perAddress[c.address] >= limits.MaxSessionsPerIP && c.address != netip.Addr{}:
		return &refusedRequest{http.StatusTooManyRequests, "too many sessions from this address"}
	}
	r.connections[c] = struct{}{}
	r.perAddress[c.address]++
	return nil
}

// forget takes the connection out of the books.
func (r *Router) forget(c *connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.connections, c)
	if r.perAddress[c.address]--; r.perAddress[c.address] <= 0 {
		delete(r.perAddress, c.address)
	}
}
