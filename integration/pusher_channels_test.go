//go:build integration

package integration

import "testing"

// pusher-js on every kind of channel, with an application's server on the official
// Node library.
func TestPusherJS(t *testing.T) {
	for _, isolation := range []string{"process", "none"} {
		t.Run("isolation "+isolation, func(t *testing.T) {
			at := address(t)
			b := serve(t, map[string]string{"20-pusher.yaml": pusherRoute(at, isolation)})
			s := servePusher(t, at, nil)
			for name, test := range map[string]func(*pusherServer){
				"public":             publicChannel,
				"private":            privateChannel,
				"presence":           presenceChannel,
				"encrypted":          encryptedChannel,
				"cache":              cacheChannel,
				"client events":      clientEvents,
				"users":              users,
				"watchlist":          watchlist,
				"subscription count": subscriptionCount,
			} {
				t.Run(name, func(t *testing.T) { test(s.in(t)) })
			}
			if code := b.stop(t); code != 0 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}

func publicChannel(s *pusherServer) {
	one, two := s.two(nil, nil)
	one.subscribe("public")
	two.subscribe("public")
	s.call("trigger", "public", "hello", map[string]any{"to": "all"})
	for _, p := range []*page{one, two} {
		want(s.t, "data", p.find("event", "channel", "public", "event", "hello")["data"], `{"to":"all"}`)
	}
	// A page that caused an event does not get it.
	s.call("trigger", []string{"public", "other"}, "mine", 1, map[string]any{"socket_id": one.socket})
	s.call("trigger", "public", "after", 2)
	two.find("event", "event", "mine")
	one.find("event", "event", "after")
	one.none("event", "event", "mine")

	one.tell(map[string]any{"unsubscribe": "public"})
	s.counts("public", 1)
	s.call("trigger", "public", "gone", 3)
	two.find("event", "event", "gone")
	one.subscribe("public2")
	one.none("event", "event", "gone")
}

func privateChannel(s *pusherServer) {
	one, stranger := s.two(nil, map[string]any{"secret": "guess"})
	one.subscribe("private-room")
	s.call("trigger", "private-room", "hello", "été")
	want(s.t, "data", one.find("event", "event", "hello")["data"], `"été"`)

	stranger.tell(map[string]any{"subscribe": "private-room"})
	refused := stranger.find("event", "event", "pusher:subscription_error")["data"].(map[string]any)
	want(s.t, "status", refused["status"], `401`)
	s.counts("private-room", 1)
}

func presenceChannel(s *pusherServer) {
	const room = "presence-room"
	user := map[string]any{"userId": "alice", "userInfo": map[string]any{"name": "Alice"}}
	pages := s.pages(user, user, map[string]any{"userId": "bob"})
	alice, tab, bob := pages[0], pages[1], pages[2]
	if members := alice.enter(room); members != `{"alice":{"name":"Alice"}}` {
		s.t.Errorf("Alice finds %s", members)
	}
	if members := bob.enter(room); members != `{"alice":{"name":"Alice"},"bob":null}` {
		s.t.Errorf("Bob finds %s", members)
	}
	alice.find("member_added", "channel", room, "id", "bob")

	// Another tab of Alice is not another member.
	tab.enter(room)
	want(s.t, "users", s.get("/channels/"+room+"/users", nil), `{"users":[{"id":"alice"},{"id":"bob"}]}`)
	want(s.t, "counts", s.get("/channels/"+room, map[string]any{"info": "user_count,subscription_count"}),
		`{"occupied":true,"subscription_count":3,"user_count":2}`)
	tab.tell(map[string]any{"disconnect": true})
	s.counts(room, 2)
	s.call("trigger", room, "marker", 1)
	bob.find("event", "event", "marker")
	bob.none("member_added")
	bob.none("member_removed")

	alice.tell(map[string]any{"unsubscribe": room})
	bob.find("member_removed", "channel", room, "id", "alice")
	bob.tell(map[string]any{"members": room})
	want(s.t, "members", bob.find("members")["members"], `{"bob":null}`)
}

func encryptedChannel(s *pusherServer) {
	one, stranger := s.two(nil, map[string]any{"masterKey": "MTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTE="})
	one.subscribe("private-encrypted-room")
	s.call("trigger", "private-encrypted-room", "secret", map[string]any{"text": "ünseen"})
	want(s.t, "data", one.find("event", "event", "secret")["data"], `{"text":"ünseen"}`)

	// Without the key there is nothing to read.
	stranger.subscribe("private-encrypted-room")
	stranger.subscribe("public")
	s.call("trigger", "private-encrypted-room", "secret", map[string]any{"text": "again"})
	s.call("trigger", "public", "after", 1)
	stranger.find("event", "event", "after")
	stranger.none("event", "event", "secret")
	one.find("event", "event", "secret")
}

func cacheChannel(s *pusherServer) {
	early, late := s.two(nil, map[string]any{"userId": "alice"})
	for _, channel := range []string{"cache-c", "private-cache-c", "private-encrypted-cache-c"} {
		early.subscribe(channel)
		early.find("event", "channel", channel, "event", "pusher:cache_miss")
		early.tell(map[string]any{"unsubscribe": channel})
		s.counts(channel, 0)
		s.call("trigger", channel, "price", "old") // nobody listens
		s.call("trigger", channel, "price", map[string]any{"eur": 5})
		late.subscribe(channel)
		want(s.t, "data", late.find("event", "channel", channel, "event", "price")["data"], `{"eur":5}`)
		late.none("event", "event", "pusher:cache_miss")
	}
	answer := s.get("/channels/private-cache-c", map[string]any{"info": "cache"}).(map[string]any)
	want(s.t, "cached data", answer["cache"].(map[string]any)["data"], `"{\"eur\":5}"`)

	// Members and the last event, on one channel.
	s.call("trigger", "presence-cache-c", "price", 7)
	late.enter("presence-cache-c")
	want(s.t, "data", late.find("event", "event", "price")["data"], `7`)
}

func clientEvents(s *pusherServer) {
	alice, bob := s.two(map[string]any{"userId": "alice"}, map[string]any{"userId": "bob"})
	for _, p := range []*page{alice, bob} {
		p.enter("presence-talk")
		p.subscribe("private-talk")
		p.subscribe("talk")
		p.tell(map[string]any{"bind": "presence-talk", "event": "client-typing"})
	}
	alice.tell(map[string]any{"trigger": "presence-talk", "event": "client-typing", "data": map[string]any{"on": true}})
	typing := bob.find("bound", "channel", "presence-talk", "event", "client-typing")
	want(s.t, "data", typing["data"], `{"on":true}`)
	want(s.t, "the sender", typing["user"], `"alice"`)
	alice.tell(map[string]any{"trigger": "private-talk", "event": "client-typing", "data": 1})
	bob.find("event", "channel", "private-talk", "event", "client-typing")

	// Not on a public channel, and nothing comes back to its sender.
	alice.tell(map[string]any{"trigger": "talk", "event": "client-typing", "data": 1})
	alice.find("error")
	s.call("trigger", "talk", "marker", 1)
	for _, p := range []*page{alice, bob} {
		p.find("event", "event", "marker")
		p.none("event", "channel", "talk", "event", "client-typing")
	}
	alice.tell(map[string]any{"trigger": "private-talk", "event": "client-last", "data": 1})
	bob.find("event", "event", "client-last")
	s.call("trigger", "private-talk", "marker", 2)
	alice.find("event", "channel", "private-talk", "event", "marker")
	alice.none("event", "event", "client-last")
}

// signIn signs a page's user in.
func (p *page) signIn() {
	p.t.Helper()
	p.tell(map[string]any{"signin": true})
	p.find("signedin")
}

func users(s *pusherServer) {
	user := map[string]any{"user": map[string]any{"id": "alice", "user_info": map[string]any{"name": "Alice"}}}
	pages := s.pages(user, user, map[string]any{"user": map[string]any{"id": "bob"}})
	alice, tab, bob := pages[0], pages[1], pages[2]
	for _, p := range pages {
		p.signIn()
	}
	s.call("sendToUser", "alice", "hi", map[string]any{"just": "you"})
	for _, p := range []*page{alice, tab} {
		want(s.t, "data", p.find("user", "event", "hi")["data"], `{"just":"you"}`)
	}
	s.call("sendToUser", "bob", "marker", 1)
	bob.find("user", "event", "marker")
	bob.none("user", "event", "hi")

	// A signed-in user needs no more to be a member.
	if members := alice.enter("presence-signed-in"); members != `{"alice":{"name":"Alice"}}` {
		s.t.Errorf("Alice finds %s", members)
	}
	want(s.t, "channels", s.get("/channels", nil), `{"channels":{"presence-signed-in":{}}}`)

	// pusher-js disconnects for good, and only then is in that state.
	s.call("terminateUserConnections", "alice")
	for _, p := range []*page{alice, tab} {
		p.find("error", "code", number("4009"))
		p.find("state", "state", "disconnected")
		p.none("state", "state", "connecting")
	}
	s.call("sendToUser", "bob", "still here", 1)
	bob.find("user", "event", "still here")
	bob.none("state", "state", "disconnected")
}

func watchlist(s *pusherServer) {
	alice, bob := s.two(map[string]any{"user": map[string]any{"id": "alice", "watchlist": []string{"bob", "carol"}}},
		map[string]any{"user": map[string]any{"id": "bob"}})
	alice.signIn()
	want(s.t, "who is offline", alice.find("watchlist", "event", "offline")["data"], `{"name":"offline","user_ids":["bob","carol"]}`)
	bob.signIn()
	want(s.t, "who is online", alice.find("watchlist", "event", "online")["data"], `{"name":"online","user_ids":["bob"]}`)
	bob.tell(map[string]any{"disconnect": true})
	want(s.t, "who is offline", alice.find("watchlist", "event", "offline")["data"], `{"name":"offline","user_ids":["bob"]}`)
}

func subscriptionCount(s *pusherServer) {
	one, two := s.two(nil, nil)
	counted := func(p *page, count string) {
		s.t.Helper()
		p.find("event", "event", "pusher:subscription_count", "data", map[string]any{"subscription_count": number(count)})
	}
	one.subscribe("counted")
	counted(one, "1")
	two.subscribe("counted")
	counted(one, "2")
	counted(two, "2")
	two.tell(map[string]any{"disconnect": true})
	counted(one, "1")
}
