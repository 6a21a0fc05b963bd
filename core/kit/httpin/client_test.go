package httpin

import (
	"crypto/tls"
	"net/http"
	"testing"
)

func TestClient(t *testing.T) {
	trusted, err := NewProxies([]string{"10.0.0.0/8", "2001:db8:1::/48"})
	if err != nil {
		t.Fatal(err)
	}
	forwardedFor := func(values ...string) http.Header { return http.Header{"X-Forwarded-For": values} }
	for _, test := range []struct {
		name, peer string
		secure     bool
		header     http.Header
		want       string // address scheme host
	}{
		{"plain", "203.0.113.1:5", false, nil, "203.0.113.1 http own.example"},
		{"TLS", "203.0.113.1:5", true, nil, "203.0.113.1 https own.example"},
		{"IPv6", "[2001:db8::1]:5", false, nil, "2001:db8::1 http own.example"},
		{"mapped", "[::ffff:203.0.113.1]:5", false, nil, "203.0.113.1 http own.example"},
		{"untrusted peer", "203.0.113.1:5", false, http.Header{
			"X-Forwarded-For": {"192.0.2.1"}, "Forwarded": {"for=192.0.2.1;proto=https;host=x"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"x"},
		}, "203.0.113.1 http own.example"},
		{"trusted, silent", "10.0.0.1:5", false, nil, "10.0.0.1 http own.example"},
		{"trusted", "10.0.0.1:5", false, forwardedFor("192.0.2.1"), "192.0.2.1 http own.example"},
		{"mapped trusted peer", "[::ffff:10.0.0.1]:5", false, forwardedFor("192.0.2.1"), "192.0.2.1 http own.example"},
		{"client's own claim", "10.0.0.1:5", false, forwardedFor("127.0.0.1, 192.0.2.1"), "192.0.2.1 http own.example"},
		{"two proxies", "10.0.0.1:5", false, forwardedFor("127.0.0.1, 192.0.2.1, 10.0.0.2"), "192.0.2.1 http own.example"},
		{"two headers", "10.0.0.1:5", false, forwardedFor("192.0.2.1", "10.0.0.2,10.0.0.3"), "192.0.2.1 http own.example"},
		{"proxies alone", "10.0.0.1:5", false, forwardedFor("10.0.0.3,10.0.0.2"), "10.0.0.3 http own.example"},
		{"with port", "10.0.0.1:5", false, forwardedFor("192.0.2.1:4711"), "192.0.2.1 http own.example"},
		{"IPv6 hop", "10.0.0.1:5", false, forwardedFor("2001:db8::7"), "2001:db8::7 http own.example"},
		{"IPv6 hop with port", "10.0.0.1:5", false, forwardedFor("[2001:db8::7]:4711"), "2001:db8::7 http own.example"},
		{"trusted IPv6 proxy", "[2001:db8:1::9]:5", false, forwardedFor("192.0.2.1"), "192.0.2.1 http own.example"},
		{"mapped hop", "10.0.0.1:5", false, forwardedFor("::ffff:192.0.2.1, ::ffff:10.0.0.2"), "192.0.2.1 http own.example"},
		{"unreadable hop", "10.0.0.1:5", false, forwardedFor("192.0.2.1, unknown, 10.0.0.2"), "10.0.0.2 http own.example"},
		{"empty hop", "10.0.0.1:5", false, forwardedFor("192.0.2.1, "), "10.0.0.1 http own.example"},
		{"scheme and host", "10.0.0.1:5", false, http.Header{"X-Forwarded-Proto": {"http, HTTPS"}, "X-Forwarded-Host": {"evil.example, own2.example"}}, "10.0.0.1 https own2.example"},
		{"TLS ends twice", "10.0.0.1:5", true, http.Header{"X-Forwarded-Proto": {"http"}}, "10.0.0.1 http own.example"},
		{"odd scheme", "10.0.0.1:5", true, http.Header{"X-Forwarded-Proto": {"gopher"}}, "10.0.0.1 https own.example"},
		{"RFC 7239", "10.0.0.1:5", false, http.Header{"Forwarded": {`for=127.0.0.1, For="[2001:db8::7]:80"; Proto=HTTPS;by=x;host="own3.example"`}}, "2001:db8::7 https own3.example"},
		{"RFC 7239 over two headers", "10.0.0.1:5", false, http.Header{"Forwarded": {"for=192.0.2.1;proto=https", "for=10.0.0.2;proto=http"}}, "192.0.2.1 http own.example"},
		{"RFC 7239 obscured", "10.0.0.1:5", false, http.Header{"Forwarded": {"for=192.0.2.1, for=_hidden"}}, "10.0.0.1 http own.example"},
		{"RFC 7239 first", "10.0.0.1:5", false, http.Header{"Forwarded": {"for=192.0.2.1"}, "X-Forwarded-For": {"192.0.2.9"}}, "192.0.2.1 http own.example"},
		{"RFC 7239 nonsense", "10.0.0.1:5", false, http.Header{"Forwarded": {";;=,,for"}}, "10.0.0.1 http own.example"},
		{"unix peer", "@", false, forwardedFor("192.0.2.1"), "invalid IP http own.example"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Host: "own.example", Header: test.header}
		if test.secure {
			r.TLS = &tls.ConnectionState{}
		}
		c := trusted.Client(r)
		if got := c.Addr.String() + " " + c.Scheme + " " + c.Host; got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestTrustedUnixPeer(t *testing.T) {
	trusted, err := NewProxies([]string{"unix", "10.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[string]string{"@": "192.0.2.1", "": "192.0.2.1", "10.1.1.1:5": "192.0.2.1", "203.0.113.1:5": "203.0.113.1"} {
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {"192.0.2.1"}}}
		if got := trusted.Client(r).Addr.String(); got != want {
			t.Errorf("peer %q: %s, want %s", peer, got, want)
		}
	}
	if _, err := NewProxies([]string{"unix", "proxy.example"}); err == nil {
		t.Error("a host name is no error")
	}
}

func FuzzClient(f *testing.F) {
	f.Add("10.0.0.1:5", "192.0.2.1, [::1]:5", `for="[2001:db8::7]:80";proto=https`, "https", "h")
	trusted, err := NewProxies([]string{"0.0.0.0/0", "::/0", "unix"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, peer, chain, rfc7239, proto, host string) {
		for _, header := range []http.Header{
			{"X-Forwarded-For": {chain}, "X-Forwarded-Proto": {proto}, "X-Forwarded-Host": {host}},
			{"Forwarded": {rfc7239, chain}},
		} {
			c := trusted.Client(&http.Request{RemoteAddr: peer, Host: "own.example", Header: header})
			if c.Scheme != "http" && c.Scheme != "https" || c.Host == "" || c.Addr.Is4In6() {
				t.Errorf("%+v", c)
			}
		}
	})
}
