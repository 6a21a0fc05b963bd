package crossbar

import (
	"context"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestRateOfAddress(t *testing.T) {
	r := start(t, nil, `{"rate_limit":0.5,"rate_burst":2,"trusted_proxies":["127.0.0.1"]}`)
	from := func(address string) answer { return r.post("", hello, "X-Forwarded-For", address) }
	from("203.0.113.1").id(t, 202)
	from("203.0.113.1").id(t, 202)
	got := from("203.0.113.1")
	got.fault(t, 429)
	if got.header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	from("203.0.113.2").id(t, 202)
	r.clock.advance(2 * time.Second)
	from("203.0.113.1").id(t, 202)
	from("203.0.113.1").fault(t, 429)
	from("2001:db8::1").id(t, 202)
	from("2001:db8::2").id(t, 202)
	from("2001:db8::3").fault(t, 429)
	from("2001:db8:0:1::3").id(t, 202)
	if n := r.metric("bridge_crossbar_limited_total", "limit", "address"); n != 3 {
		t.Errorf("%v counted", n)
	}
}

func TestRateOfKey(t *testing.T) {
	r := start(t, nil, `{"rate_limit":1,"keys":[{"key":"a","secret":"1"},{"key":"b","secret":"2"}]}`)
	post := func(key, secret string, seq int) answer {
		query, _ := Sign(secret, Parameters{Key: key, Timestamp: vectorTime, Seq: strconv.Itoa(seq), Nonce: "1"}, []byte(hello))
		return r.post(query, hello)
	}
	post("a", "wrong", 0).fault(t, 401)
	post("a", "1", 1).id(t, 202)
	post("a", "1", 2).fault(t, 429)
	post("b", "2", 1).id(t, 202)
	r.clock.advance(time.Second)
	post("a", "1", 2).id(t, 202) // what was refused for its rate is no replay
	if n := r.metric("bridge_crossbar_limited_total", "limit", "key"); n != 1 {
		t.Errorf("%v counted", n)
	}
}

func TestFailedSignatures(t *testing.T) {
	r := start(t, nil, signing, `{"trusted_proxies":["127.0.0.1"]}`)
	wrong, _ := Sign("wrong", Parameters{Key: "foobar", Timestamp: vectorTime, Seq: "1", Nonce: "1"}, []byte(hello))
	stranger, _ := Sign("wrong", Parameters{Key: "stranger", Timestamp: vectorTime, Seq: "1", Nonce: "1"}, []byte(hello))
	for i := range failureBurst {
		query := wrong
		if i%2 == 1 {
			query = stranger
		}
		r.post(query, hello, "X-Forwarded-For", "203.0.113.1").fault(t, 401)
	}
	got := r.post(signed(1, hello), hello, "X-Forwarded-For", "203.0.113.1")
	got.fault(t, 429)
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	r.post(signed(2, hello), hello, "X-Forwarded-For", "203.0.113.2").id(t, 202)
	r.clock.advance(time.Second)
	r.post(signed(1, hello), hello, "X-Forwarded-For", "203.0.113.1").id(t, 202)
	if n := r.metric("bridge_crossbar_limited_total", "limit", "failed_signatures"); n != 1 {
		t.Errorf("%v counted", n)
	}
}

func TestInFlight(t *testing.T) {
	inside, proceed := make(chan struct{}), make(chan struct{})
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
			inside <- struct{}{}
			<-proceed
			return nil, nil
		}
	}, `{"max_in_flight":2}`)
	answers := make(chan answer, 2)
	for range 2 {
		go func() {
			got, err := trySend(r.client, request{url: r.url(""), body: []byte(hello)})
			if err != nil {
				t.Error(err)
			}
			answers <- got
		}()
		<-inside
	}
	got := r.post("", hello)
	got.fault(t, http.StatusTooManyRequests)
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	close(proceed)
	for range 2 {
		(<-answers).id(t, 202)
	}
	if n := r.metric("bridge_crossbar_limited_total", "limit", "in_flight"); n != 1 {
		t.Errorf("%v counted", n)
	}
	if !strings.Contains(r.host.logged(), "Too many requests are under way.") {
		t.Error("not logged")
	}
}

func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets(1, 1)
	now := time.Unix(0, 0)
	address := netip.MustParseAddr("10.0.0.0")
	for range maxBuckets + 100 {
		if b.take(client{address: address}, now) != 0 {
			t.Fatal("a new client has no token")
		}
		address = address.Next()
	}
	if n := len(b.clients.entries); n != maxBuckets || b.clients.order.Len() != n {
		t.Errorf("%d clients are known", n)
	}
	if b.take(client{address: address.Prev()}, now) == 0 {
		t.Error("the last client was forgotten")
	}
	if b.look(client{address: netip.MustParseAddr("10.0.0.0")}, now) != 0 {
		t.Error("the first client was not forgotten")
	}
}

func TestSubnet(t *testing.T) {
	for address, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::",
	} {
		if got := subnet(netip.MustParseAddr(address)); got.String() != want {
			t.Errorf("%s: %s", address, got)
		}
	}
	if subnet(netip.Addr{}).IsValid() {
		t.Error("a peer on a unix socket has an address")
	}
}
