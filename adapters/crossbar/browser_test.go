package crossbar

import (
	"net/http"
	"testing"
)

func TestOrigins(t *testing.T) {
	for _, test := range []struct {
		name, config string
		header       http.Header
		status       int
		allowed      string // Access-Control-Allow-Origin
	}{
		{"no origin", `{}`, http.Header{}, 202, ""},
		{"foreign", `{}`, http.Header{"Origin": {"https://evil.example"}}, 403, ""},
		{"null", `{}`, http.Header{"Origin": {"null"}}, 403, ""},
		{"foreign, signed", signing, http.Header{"Origin": {"https://evil.example"}}, 202, ""},
		{"own", `{}`, http.Header{"Origin": {"http://push.example:8080"}}, 202, ""},
		{"own in capitals", `{}`, http.Header{"Origin": {"HTTP://Push.Example:8080"}}, 202, ""},
		{"own host, other port", `{}`, http.Header{"Origin": {"http://push.example"}}, 403, ""},
		{"own host, other scheme", `{}`, http.Header{"Origin": {"https://push.example:8080"}}, 403, ""},
		{"own twice", `{}`, http.Header{"Origin": {"http://push.example:8080", "http://push.example:8080"}}, 403, ""},
		{"claimed through an untrusted proxy", `{}`, http.Header{"Origin": {"https://evil.example"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil.example"}}, 403, ""},
		{"own behind a trusted proxy", `{"trusted_proxies":["127.0.0.1"]}`, http.Header{"Origin": {"https://push.example"}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"push.example:443"}}, 202, ""},
		{"listed", `{"cors_origins":["https://app.example","null"]}`, http.Header{"Origin": {"https://app.example"}}, 202, "https://app.example"},
		{"listed null", `{"cors_origins":["https://app.example","null"]}`, http.Header{"Origin": {"null"}}, 202, "null"},
		{"listed with default port", `{"cors_origins":["https://app.example:443"]}`, http.Header{"Origin": {"https://app.example"}}, 202, "https://app.example"},
		{"not listed", `{"cors_origins":["https://app.example"]}`, http.Header{"Origin": {"https://app.example.evil"}}, 403, ""},
		{"not listed, signed", `{"cors_origins":["https://app.example"],"key":"foobar","secret":"secret"}`, http.Header{"Origin": {"https://evil.example"}}, 202, ""},
		{"any", `{"cors_origins":["*"]}`, http.Header{"Origin": {"https://evil.example"}}, 202, "https://evil.example"},
		{"any, none", `{"cors_origins":["*"]}`, http.Header{}, 202, "*"},
		{"any, null", `{"cors_origins":["*"]}`, http.Header{"Origin": {"null"}}, 202, "*"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil, test.config)
			got := sendTo(t, r, "push.example:8080", test.header)
			if test.status == 202 {
				got.id(t, 202)
				r.published(1)
			} else {
				got.fault(t, test.status)
				r.published(0)
			}
			if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != test.allowed {
				t.Errorf("Access-Control-Allow-Origin %q, want %q", allowed, test.allowed)
			}
			if got.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials are allowed")
			}
		})
	}
}

// sendTo sends a request, signed as well, under another host name.
func sendTo(t *testing.T, r *running, host string, header http.Header) answer {
	t.Helper()
	h := header.Clone()
	h["Host"] = []string{host}
	return send(t, r.client, request{url: r.url(signed(1, hello)), body: []byte(hello), header: h})
}

func TestPreflight(t *testing.T) {
	asking := http.Header{"Origin": {"https://app.example"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type, x-y"}}
	for config, want := range map[string][2]string{
		`{}`: {"", ""},
		`{"cors_origins":["https://app.example"]}`:   {"https://app.example", "content-type, x-y"},
		`{"cors_origins":["https://other.example"]}`: {"", ""},
		`{"cors_origins":["*"]}`:                     {"https://app.example", "content-type, x-y"},
	} {
		r := start(t, nil, config)
		got := send(t, r.client, request{method: "OPTIONS", url: r.url(""), header: asking}).is(t, 200)
		if origin, headers := got.header.Get("Access-Control-Allow-Origin"), got.header.Get("Access-Control-Allow-Headers"); origin != want[0] || headers != want[1] {
			t.Errorf("%s: origin %q, headers %q", config, origin, headers)
		}
		if config != `{}` && got.header.Get("Vary") != "Origin" {
			t.Errorf("%s: Vary %q", config, got.header.Get("Vary"))
		}
	}
	r := start(t, nil, `{"require_ip":["10.0.0.0/8"]}`)
	send(t, r.client, request{method: "OPTIONS", url: r.url("")}).fault(t, 400)
}

func TestClientAddress(t *testing.T) {
	for _, test := range []struct {
		name, config string
		header       http.Header
		status       int
	}{
		{"spoofed", `{"require_ip":["10.0.0.0/8"]}`, http.Header{"X-Forwarded-For": {"10.1.2.3"}}, 400},
		{"spoofed, RFC 7239", `{"require_ip":["10.0.0.0/8"]}`, http.Header{"Forwarded": {"for=10.1.2.3"}}, 400},
		{"behind a proxy", `{"require_ip":["10.0.0.0/8"],"trusted_proxies":["127.0.0.0/8"]}`, http.Header{"X-Forwarded-For": {"10.1.2.3"}}, 202},
		{"mapped behind a proxy", `{"require_ip":["10.0.0.0/8"],"trusted_proxies":["127.0.0.0/8"]}`, http.Header{"X-Forwarded-For": {"::ffff:10.1.2.3"}}, 202},
		{"rightmost stranger", `{"require_ip":["10.0.0.0/8"],"trusted_proxies":["127.0.0.0/8","192.168.0.0/16"]}`, http.Header{"X-Forwarded-For": {"10.1.2.3, 203.0.113.5, 192.168.1.1"}}, 400},
		{"behind two proxies", `{"require_ip":["10.0.0.0/8"],"trusted_proxies":["127.0.0.0/8","192.168.0.0/16"]}`, http.Header{"X-Forwarded-For": {"203.0.113.5, 10.1.2.3", "192.168.1.1"}}, 202},
		{"RFC 7239", `{"require_ip":["2001:db8::/32"],"trusted_proxies":["127.0.0.1"]}`, http.Header{"Forwarded": {`for="[2001:db8::7]:4711";proto=https`}}, 202},
		{"TLS at the proxy", `{"require_tls":true,"trusted_proxies":["127.0.0.1"]}`, http.Header{"X-Forwarded-Proto": {"https"}}, 202},
		{"TLS claimed", `{"require_tls":true,"trusted_proxies":["10.0.0.1"]}`, http.Header{"X-Forwarded-Proto": {"https"}}, 400},
		{"no TLS at the proxy", `{"require_tls":true,"trusted_proxies":["127.0.0.1"]}`, http.Header{"X-Forwarded-Proto": {"http"}}, 400},
		{"host bits", `{"require_ip":["127.0.0.1/255.255.255.0"]}`, http.Header{}, 202},
		{"inverse mask", `{"require_ip":["127.0.0.0/0.255.255.255"]}`, http.Header{}, 202},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, nil, test.config)
			got := send(t, r.client, request{url: r.url(""), body: []byte(hello), header: test.header})
			if test.status == 202 {
				got.id(t, 202)
				r.published(1)
				return
			}
			got.fault(t, test.status)
			r.published(0)
		})
	}
}

// TestMappedPeer meets an IPv4 peer on a dual-stack socket, which shows it as
// IPv6.
func TestMappedPeer(t *testing.T) {
	r := start(t, nil, `{"require_ip":["127.0.0.1"]}`)
	request, err := http.NewRequest("POST", "/push", nil)
	if err != nil {
		t.Fatal(err)
	}
	for peer, admitted := range map[string]bool{"[::ffff:127.0.0.1]:5": true, "127.0.0.1:5": true, "[::1]:5": false, "@": false} {
		request.RemoteAddr = peer
		x := exchange{pusher: r.pusher, live: r.live.Load(), request: request}
		x.from = x.live.proxies.Client(request)
		if wrong := x.checkClient(); (wrong == nil) != admitted {
			t.Errorf("%s: %+v", peer, wrong)
		}
	}
}
