//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"testing"
)

// hooks is a receiver of webhooks, on the official Node library.
type hooks struct {
	*client
	passed []map[string]any // since the last one that was waited for
}

// receiveHooks starts a receiver that refuses the first deliveries, and returns the
// file that sends it what happens at sockets.
func receiveHooks(t *testing.T, refuse int) (h *hooks, file string) {
	t.Helper()
	h = &hooks{client: node(t, "pusher-webhook.js", map[string]any{"appId": pusherID, "key": pusherKey, "secret": pusherSecret, "refuse": refuse})}
	port := h.next("listening")["port"].(json.Number)
	return h, fmt.Sprintf(`
inbound: { use: sockets }
outbound:
  adapter: webhook
  kinds: [happening, client]
  retry: {}
  config: { url: "http://127.0.0.1:%s/hooks", format: pusher, apps: [%s] }
`, port, pusherApp)
}

// hook waits for an event.
func (h *hooks) hook(name, channel string, members ...any) (event map[string]any) {
	h.t.Helper()
	event, h.passed = h.seek("event", append([]any{"name", name, "channel", channel}, members...))
	for _, line := range h.passed {
		if line["is"] == "invalid" {
			h.t.Errorf("the library does not accept %v", line)
		}
	}
	return event
}

// nothingElse fails if hook has passed over other events.
func (h *hooks) nothingElse() {
	h.t.Helper()
	for _, line := range h.passed {
		if line["is"] == "event" {
			h.t.Errorf("unexpected %v", line)
		}
	}
}

// What happens in channels, and what clients send one another, reaches a webhook
// receiver, which refuses the first two deliveries.
func TestPusherWebhooks(t *testing.T) {
	t.Parallel() // most of it is waiting
	const hooked = "presence-hooked"
	receiver, file := receiveHooks(t, 2)
	hook := receiver.hook
	at := address(t)
	serve(t, map[string]string{"20-pusher.yaml": pusherRoute(at, "process"), "30-hooks.yaml": file})
	s := servePusher(t, at, nil)

	alice := s.page(map[string]any{"userId": "alice"})
	alice.enter(hooked)
	first := receiver.find("webhook", "refused", true)
	again := receiver.find("webhook", "body", first["body"])
	last := receiver.find("webhook", "body", first["body"], "refused", false)
	want(t, "the time of a delivery that is repeated", []any{again["time"], last["time"]}, encode(t, []any{first["time"], first["time"]}))
	hook("channel_occupied", hooked)
	hook("member_added", hooked, "user_id", "alice")
	bob := s.page(map[string]any{"userId": "bob"})
	bob.enter(hooked)
	hook("member_added", hooked, "user_id", "bob")
	alice.tell(map[string]any{"trigger": hooked, "event": "client-typing", "data": map[string]any{"on": true}})
	sent := hook("client_event", hooked)
	want(t, "the client's event", sent, fmt.Sprintf(
		`{"channel":%q,"data":"{\"on\":true}","event":"client-typing","is":"event","name":"client_event","socket_id":%q,"user_id":"alice"}`, hooked, alice.socket))

	// Events of the API are no webhooks, and nobody waits for them.
	s.call("trigger", hooked, "message", 1)
	bob.tell(map[string]any{"subscribe": "private-cache-hooked"})
	hook("subscription_count", "private-cache-hooked", "subscription_count", number("1"))
	hook("cache_miss", "private-cache-hooked")
	alice.tell(map[string]any{"disconnect": true})
	hook("member_removed", hooked, "user_id", "alice")
	bob.tell(map[string]any{"disconnect": true})
	hook("member_removed", hooked, "user_id", "bob")
	hook("channel_vacated", hooked)
}

// The server is replaced under the members of a channel: to the webhook receiver
// nothing has happened.
func TestPusherWebhooksOverReload(t *testing.T) {
	t.Parallel() // most of it is waiting
	receiver, file := receiveHooks(t, 0)
	at := address(t)
	content := pusherRoute(at, "process")
	b := serveQuick(t, map[string]string{"20-pusher.yaml": content, "30-hooks.yaml": file})
	pages := presence(servePusher(t, at, nil))
	for _, user := range []string{"alice", "bob", "carol"} {
		receiver.hook("member_added", room, "user_id", user)
	}
	b.change(t, "20-pusher.yaml", "pusher", replaceOnce(t, content, "apps: *apps", "escape: true, apps: *apps"))
	for _, p := range pages {
		p.connected()
		p.find("subscribed", "channel", room)
	}
	b.until(t, "rid of the old generation", func(routes map[string]routeStatus) bool { return routes["pusher"].Draining == 0 })
	pages[0].tell(map[string]any{"trigger": room, "event": "client-after", "data": 1})
	receiver.hook("client_event", room)
	receiver.nothingElse()
	// Who leaves after that is missed as ever.
	pages[3].tell(map[string]any{"disconnect": true})
	receiver.hook("member_removed", room, "user_id", "carol")
	receiver.nothingElse()
}
