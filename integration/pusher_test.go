//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"reflect"
	"strconv"
	"testing"
	"time"
)

// The app of the tests; masterKey is its end-to-end encryption key.
const (
	pusherID, pusherKey, pusherSecret = "4", "key", "secret"
	masterKey                         = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
)

// pusherApp is the app with everything switched on and delays that a test can
// wait for.
const pusherApp = `{ id: "4", key: key, secret: secret, client_events: true, watchlist: true, watchlist_window: 10ms, ` +
	`watchlist_offline_delay: 0s, leave_delay: 50ms, subscription_count: true }`

// pusherRoute is a route of the shipped kind; the instances are called api and
// sockets.
func pusherRoute(at, isolation string) string {
	return fmt.Sprintf(`
inbound:
  adapter: pusher-rest
  name: api
  isolation: %[2]s
  config:
    listen: %[1]q
    apps: &apps
      - %[3]s
outbound:
  adapter: pusher-socket
  name: sockets
  isolation: %[2]s
  config: { listen: %[1]q, apps: *apps }
`, at, isolation, pusherApp)
}

// pusherServer is an application: its server with the official Node library, and
// its pages with pusher-js.
type pusherServer struct {
	t    *testing.T
	host string
	port int
	api  *client
}

// servePusher is the application of a bridge that listens there. The Node library
// takes more options, such as useTLS.
func servePusher(t *testing.T, at string, options map[string]any) *pusherServer {
	t.Helper()
	host, text, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	s := &pusherServer{t: t, host: host, port: port}
	arguments := map[string]any{
		"appId": pusherID, "key": pusherKey, "secret": pusherSecret, "host": host, "port": text, "encryptionMasterKeyBase64": masterKey,
	}
	maps.Copy(arguments, options)
	s.api = node(t, "pusher-rest.js", arguments)
	s.api.next("open")
	return s
}

// in is the application for another test.
func (s *pusherServer) in(t *testing.T) *pusherServer {
	api := *s.api
	api.t = t
	return &pusherServer{t: t, host: s.host, port: s.port, api: &api}
}

// call calls a method of the server library and returns the answer's body.
func (s *pusherServer) call(method string, arguments ...any) any {
	s.t.Helper()
	answer := s.try(method, arguments...)
	if answer["is"] == "failed" {
		s.t.Fatalf("%s%v failed: %v", method, arguments, answer)
	}
	return answer["body"]
}

// try calls a method that may fail and returns what the library made of it.
func (s *pusherServer) try(method string, arguments ...any) map[string]any {
	s.t.Helper()
	s.api.tell(map[string]any{"call": method, "arguments": arguments})
	return s.api.either("answer", "failed")
}

// get asks the HTTP API.
func (s *pusherServer) get(path string, params map[string]any) any {
	s.t.Helper()
	return s.call("get", map[string]any{"path": path, "params": params})
}

// counts waits until a channel has that many subscriptions: that a client left is
// known only when the server has seen it.
func (s *pusherServer) counts(channel string, want int) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		answer := s.get("/channels/"+channel, map[string]any{"info": "subscription_count"})
		if got := fmt.Sprint(answer.(map[string]any)["subscription_count"]); got == strconv.Itoa(want) {
			return
		} else if time.Now().After(deadline) {
			s.t.Fatalf("%s has %s subscriptions, want %d", channel, got, want)
		}
	}
}

// page is a connected pusher-js client.
func (s *pusherServer) page(arguments map[string]any) *page {
	s.t.Helper()
	return s.pages(arguments)[0]
}

// pages are connected pusher-js clients, which start at the same time.
func (s *pusherServer) pages(each ...map[string]any) (pages []*page) {
	s.t.Helper()
	for _, arguments := range each {
		all := map[string]any{"host": s.host, "port": s.port, "key": pusherKey, "secret": pusherSecret, "masterKey": masterKey}
		maps.Copy(all, arguments)
		pages = append(pages, &page{client: node(s.t, "pusher.js", all)})
	}
	for _, p := range pages {
		p.connected()
	}
	return pages
}

// two are two connected pusher-js clients.
func (s *pusherServer) two(one, other map[string]any) (*page, *page) {
	s.t.Helper()
	pages := s.pages(one, other)
	return pages[0], pages[1]
}

// page is a pusher-js client. It remembers the lines that find passed over, until
// they are looked at.
type page struct {
	*client
	socket string
	passed []map[string]any
}

// connected waits for a connection.
func (p *page) connected() {
	p.t.Helper()
	p.socket = fmt.Sprint(p.find("state", "state", "connected")["socket"])
}

// subscribe subscribes and waits until that has succeeded.
func (p *page) subscribe(channel string) {
	p.t.Helper()
	p.tell(map[string]any{"subscribe": channel})
	p.subscribed(channel)
}

func (p *page) subscribed(channel string) {
	p.t.Helper()
	p.find("event", "channel", channel, "event", "pusher:subscription_succeeded")
}

// enter subscribes to a presence channel and returns the members that the client
// found there.
func (p *page) enter(channel string) string {
	p.t.Helper()
	p.tell(map[string]any{"subscribe": channel})
	return encode(p.t, p.find("subscribed", "channel", channel)["members"])
}

// find returns the next line of that kind whose members have those values, given
// as names and values in turn. It passes over all others, errors too.
func (c *client) find(is string, members ...any) map[string]any {
	c.t.Helper()
	line, _ := c.seek(is, members)
	return line
}

// find is the client's, remembering what it passed.
func (p *page) find(is string, members ...any) map[string]any {
	p.t.Helper()
	line, passed := p.seek(is, members)
	p.passed = append(p.passed, passed...)
	return line
}

func (c *client) seek(is string, members []any) (found map[string]any, passed []map[string]any) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("%s ended while %s %v was waited for; before: %v\n%s", c.name, is, members, passed, c.stderr)
			}
			if line["is"] == is && has(line, members) {
				return line, passed
			}
			passed = append(passed, line)
		case <-deadline:
			c.t.Fatalf("%s told nothing of %s %v, but %v\n%s", c.name, is, members, passed, c.stderr)
		}
	}
}

func has(line map[string]any, members []any) bool {
	for n := 0; n < len(members); n += 2 {
		if !reflect.DeepEqual(line[members[n].(string)], members[n+1]) {
			return false
		}
	}
	return true
}

// either returns the next line of one of two kinds.
func (c *client) either(one, other string) map[string]any {
	c.t.Helper()
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("%s ended\n%s", c.name, c.stderr)
			}
			if line["is"] == one || line["is"] == other {
				return line
			}
		case <-time.After(patience):
			c.t.Fatalf("%s told nothing of %s or %s\n%s", c.name, one, other, c.stderr)
		}
	}
}

// none fails if a line of that kind with those members has been passed over since
// forget.
func (p *page) none(is string, members ...any) {
	p.t.Helper()
	for _, line := range p.passed {
		if line["is"] == is && has(line, members) {
			p.t.Errorf("unexpected %v", line)
		}
	}
}

// forget forgets what has been passed over.
func (p *page) forget() { p.passed = nil }

// number is a number as the clients' lines have it.
func number(digits string) json.Number { return json.Number(digits) }

// encode is a value as JSON, members of objects in order.
func encode(t testing.TB, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// want compares values as JSON.
func want(t testing.TB, what string, got any, wanted string) {
	t.Helper()
	if text := encode(t, got); text != wanted {
		t.Errorf("%s is %s, want %s", what, text, wanted)
	}
}
