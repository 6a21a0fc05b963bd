//go:build integration

package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pusher "github.com/pusher/pusher-http-go/v5"
)

// serveQuick runs the program on these files with short drain times.
func serveQuick(t *testing.T, files map[string]string) *bridge {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "bridge.yaml"), quick)
	for name, content := range files {
		writeFile(t, filepath.Join(dir, "conf.d", name), content)
	}
	return serveIn(t, dir)
}

// change replaces the file and returns what became of its route.
func (b *bridge) change(t *testing.T, name, route, content string) routeStatus {
	t.Helper()
	writeFile(t, filepath.Join(b.dir, "conf.d", name), content)
	status := b.ask(t, "reload")[route]
	if !status.Reload.OK {
		t.Fatalf("reload: %+v", status)
	}
	return status
}

const room = "presence-room"

// presence is a presence channel with Alice, who has two tabs, Bob and Carol, and
// whoever else there is.
func presence(s *pusherServer, more ...map[string]any) []*page {
	members := []map[string]any{{"userId": "alice"}, {"userId": "alice"}, {"userId": "bob"}, {"userId": "carol"}}
	pages := s.pages(append(members, more...)...)
	for _, p := range pages {
		p.enter(room)
	}
	return pages
}

// The server of a presence channel is replaced under its members: all of them come
// back, nobody sees anybody leave who stays, publishers notice nothing.
func TestPusherPresenceOverReload(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, isolation := range []string{"process", "none"} {
		t.Run("isolation "+isolation, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			content := pusherRoute(at, isolation)
			b := serveQuick(t, map[string]string{"20-pusher.yaml": content})
			s := servePusher(t, at, nil)
			pages := presence(s, map[string]any{"userId": "dave", "once": true})[:4] // Dave leaves when he is sent away
			for _, p := range pages {
				p.find("member_added", "id", "dave")
				p.forget()
			}

			stop := publish(t, at, room)
			status := b.change(t, "20-pusher.yaml", "pusher", replaceOnce(t, content, "apps: *apps", "escape: true, apps: *apps"))
			if how := status.Reload.How; !strings.HasPrefix(how, "replaced") {
				t.Errorf("the reload %s", how)
			}
			for _, p := range pages {
				before := p.socket
				p.connected()
				if p.socket == before {
					t.Errorf("%s is still the socket", before)
				}
				members := encode(t, p.find("subscribed", "channel", room)["members"])
				if rest := `{"alice":null,"bob":null,"carol":null}`; members != rest && members != strings.Replace(rest, "}", `,"dave":null}`, 1) {
					t.Errorf("who came back finds %s", members)
				}
			}
			b.until(t, "rid of the old generation", func(routes map[string]routeStatus) bool { return routes["pusher"].Draining == 0 })
			if stop() == 0 {
				t.Error("nothing was published during the reload")
			}
			// Dave is missed, after a while; the others have been there all the time.
			for _, p := range pages {
				p.find("member_removed", "id", "dave")
			}
			want(t, "the users", s.get("/channels/"+room+"/users", nil), `{"users":[{"id":"alice"},{"id":"bob"},{"id":"carol"}]}`)
			s.call("trigger", room, "marker", 1)
			for _, p := range pages {
				p.find("event", "event", "marker")
				p.tell(map[string]any{"members": room})
				want(t, "the members of a page", p.find("members")["members"], `{"alice":null,"bob":null,"carol":null}`)
				for _, user := range []string{"alice", "bob", "carol"} {
					p.none("member_added", "id", user)
					p.none("member_removed", "id", user)
				}
			}
		})
	}
}

// publish publishes to a channel until it is stopped, and then tells how often; no
// request may fail.
func publish(t *testing.T, at, channel string) (stop func() int) {
	t.Helper()
	client := pusher.Client{AppID: pusherID, Key: pusherKey, Secret: pusherSecret, Host: at}
	end, published := make(chan struct{}), make(chan int, 1)
	go func() {
		n := 0
		pace := time.NewTicker(5 * time.Millisecond) // pages have other things to do
		defer pace.Stop()
		for {
			select {
			case <-pace.C:
			case <-end:
				published <- n
				return
			}
			if err := client.Trigger(channel, "tick", n); err != nil {
				t.Errorf("event %d: %v", n, err)
			}
			n++
		}
	}()
	return func() int {
		close(end)
		return <-published
	}
}

// Another app is served without anybody being disconnected, by the same processes.
func TestPusherAppIsAdded(t *testing.T) {
	t.Parallel() // most of it is waiting
	for _, isolation := range []string{"process", "none"} {
		t.Run("isolation "+isolation, func(t *testing.T) {
			t.Parallel()
			at := address(t)
			content := pusherRoute(at, isolation)
			b := serveQuick(t, map[string]string{"20-pusher.yaml": content})
			s := servePusher(t, at, nil)
			pages := presence(s)
			before := b.ask(t, "status")["pusher"]
			another := "    apps: &apps\n      - { id: app-id, key: app-key, secret: app-secret }\n"
			status := b.change(t, "20-pusher.yaml", "pusher", replaceOnce(t, content, "    apps: &apps\n", another))
			if how := status.Reload.How; !strings.HasPrefix(how, "reconfigured") {
				t.Errorf("the reload %s", how)
			}
			if now := pidsOf(status); now != pidsOf(before) {
				t.Errorf("the processes were %s, are %s", pidsOf(before), now)
			}
			more := servePusher(t, at, map[string]any{"appId": "app-id", "key": "app-key", "secret": "app-secret"})
			new := more.page(map[string]any{"userId": "zoe", "key": "app-key", "secret": "app-secret"})
			if members := new.enter(room); members != `{"zoe":null}` {
				t.Errorf("the channel of another app has %s", members)
			}
			more.call("trigger", room, "theirs", 1)
			new.find("event", "event", "theirs")
			for _, p := range pages {
				p.forget()
			}
			s.call("trigger", room, "marker", 1)
			for _, p := range pages {
				p.find("event", "event", "marker")
				p.none("state")
				p.none("error")
				p.none("event", "event", "theirs")
				p.none("member_added", "id", "zoe")
			}
		})
	}
}
