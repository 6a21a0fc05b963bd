package socket_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/state"
)

// family is the generations of one instance: what they share.
type family struct {
	t        testing.TB
	registry *peers.Registry
	state    *state.Store
}

func newFamily(t testing.TB) *family {
	return &family{t: t, registry: peers.NewRegistry(), state: state.New()}
}

// generation is the host of one of them.
type generation struct {
	*coretest.Host
	family   *family
	instance core.Instance
	member   atomic.Pointer[peers.Member]
}

// open opens and starts the next generation.
func (f *family) open(app string) (*instance, *generation) {
	f.t.Helper()
	listen := freeAddress(f.t)
	return f.openConfig(listen, config(listen, app))
}

func (f *family) openConfig(listen, config string) (*instance, *generation) {
	f.t.Helper()
	g := &generation{Host: coretest.NewHost(f.t), family: f}
	i := openWith(f.t, g, listen, config, func(opened core.Instance) {
		g.instance = opened
		g.member.Store(f.registry.Join("test", g))
	})
	f.t.Cleanup(func() { g.leave(i) })
	return i, g
}

// leave stops the generation as the bridge does.
func (g *generation) leave(i *instance) {
	if member := g.member.Swap(nil); member != nil {
		i.stop()
		member.Leave()
	}
}

// crash makes the generation vanish for the others.
func (g *generation) crash() { g.member.Swap(nil).Leave() }

func (g *generation) State() core.State { return g.family.state.Instance("test") }
func (g *generation) Peers() core.Peers { return g }

func (g *generation) List() []string {
	if member := g.member.Load(); member != nil {
		return member.List()
	}
	return nil
}

func (g *generation) Broadcast(ctx context.Context, message []byte) error {
	if member := g.member.Load(); member != nil {
		return member.Broadcast(ctx, [][]byte{message})
	}
	return nil
}

func (g *generation) Receive(ctx context.Context, messages []peers.Message) error {
	for _, m := range messages {
		g.instance.(core.PeerReceiver).FromPeer(ctx, m.Peer, m.Data)
	}
	return nil
}

func (g *generation) Changed(ctx context.Context, _ []string) error {
	g.instance.(core.PeerReceiver).PeersChanged(ctx)
	return nil
}

// names are the happenings and client events that were published, in order.
func (g *generation) names() []string {
	var names []string
	for _, p := range g.Published() {
		for _, e := range p.Events {
			names = append(names, e.Name+" "+e.Topic)
		}
	}
	return names
}

const presence = "presence-r"

func added(user string) string { return fmt.Sprintf(`{"user_id":%q}`, user) }

// TestGenerationsShareMembers has users on both sides of a reload.
func TestGenerationsShareMembers(t *testing.T) {
	f := newFamily(t)
	old, oldHost := f.open("")
	w := old.connect("w")
	w.joined(presence, "w", "w")
	u1 := old.connect("u1")
	u1.joined(presence, "u1", "w", "u1")
	w.expect("pusher_internal:member_added", presence, added("u1"))

	next, _ := f.open("")
	u2 := next.connect("u2")
	u2.joined(presence, "u2", "w", "u1", "u2")
	w.expect("pusher_internal:member_added", presence, added("u2"))
	u1.expect("pusher_internal:member_added", presence, added("u2"))

	// A second tab of a user is none, on whichever side.
	tab := next.connect("u1's other tab")
	tab.joined(presence, "u1", "w", "u1", "u2")
	tab.send(`{"event":"client-tab","channel":"presence-r","data":"known on both sides"}`)
	for _, c := range []*client{w, u1, u2} {
		c.expect("client-tab", presence, "known on both sides")
	}
	u1.close()
	u3 := next.connect("u3")
	u3.joined(presence, "u3", "w", "u1", "u2", "u3")
	for _, c := range []*client{w, u2, tab} {
		c.expect("pusher_internal:member_added", presence, added("u3"))
	}

	// Client events reach the subscribers of both.
	w.send(`{"event":"client-a","channel":"presence-r","data":"from w"}`)
	for _, c := range []*client{u2, tab, u3} {
		c.expect("client-a", presence, "from w")
	}
	u2.send(`{"event":"client-b","channel":"presence-r","data":"from u2"}`)
	for _, c := range []*client{w, tab, u3} {
		c.expect("client-b", presence, "from u2")
	}

	// Leaving for good is told to both at once.
	u3.unsubscribe(presence)
	for _, c := range []*client{w, u2, tab} {
		c.expect("pusher_internal:member_removed", presence, added("u3"))
	}

	// Who is sent away and comes back was never gone.
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := old.Instance.(core.Drainer).Drain(ctx); err != nil {
		t.Fatal(err)
	}
	w.expectClose(4200)
	again := next.connect("w again")
	again.joined(presence, "w", "w", "u1", "u2")
	oldHost.leave(old)
	for _, c := range []*client{u2, tab, again} {
		c.quiet()
	}
	members := ask[core.Members](next, core.OpChannelsMembers, presence, nil)
	slices.Sort(members.Users)
	if !slices.Equal(members.Users, []string{"u1", "u2", "w"}) {
		t.Errorf("members %v", members.Users)
	}
}

// TestGenerationsMissWhoStaysAway waits for the time that clients have to return.
func TestGenerationsMissWhoStaysAway(t *testing.T) {
	for _, way := range []string{"drained", "crashed"} {
		t.Run(way, func(t *testing.T) {
			f := newFamily(t)
			old, oldHost := f.open("")
			gone := old.connect("gone")
			gone.joined(presence, "gone", "gone")
			next, _ := f.open("")
			w := next.connect("w")
			w.joined(presence, "w", "w", "gone")
			gone.expect("pusher_internal:member_added", presence, added("w"))
			if way == "drained" {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if err := old.Instance.(core.Drainer).Drain(ctx); err != nil {
					t.Fatal(err)
				}
				oldHost.leave(old)
			} else {
				oldHost.crash()
			}
			w.quiet()
			w.expect("pusher_internal:member_removed", presence, added("gone"))
		})
	}
}

// TestGenerationsCount has a count of both.
func TestGenerationsCount(t *testing.T) {
	f := newFamily(t)
	old, _ := f.open(`"subscription_count":true`)
	a := old.connect("a")
	a.subscribed("c")
	a.expect("pusher_internal:subscription_count", "c", `{"subscription_count":1}`)
	next, _ := f.open(`"subscription_count":true`)
	b := next.connect("b")
	b.subscribed("c")
	b.expect("pusher_internal:subscription_count", "c", `{"subscription_count":2}`)
	a.expect("pusher_internal:subscription_count", "c", `{"subscription_count":2}`)
	b.close()
	a.expect("pusher_internal:subscription_count", "c", `{"subscription_count":1}`)
}

// TestGenerationsLimitMembers has a channel that is full because of both.
func TestGenerationsLimitMembers(t *testing.T) {
	f := newFamily(t)
	old, _ := f.open(`"limits":{"presence_members":1}`)
	a := old.connect("a")
	a.joined(presence, "a", "a")
	next, _ := f.open(`"limits":{"presence_members":1}`)
	b := next.connect("b")
	b.subscribe(presence, `{"user_id":"b"}`)
	if frame := b.next(); text(frame["event"]) != "pusher:subscription_error" {
		t.Errorf("%s", frame)
	}
	tab := next.connect("a's other tab")
	tab.joined(presence, "a", "a")
}

// TestGenerationsWatch has watchers and watched on different sides.
func TestGenerationsWatch(t *testing.T) {
	f := newFamily(t)
	old, _ := f.open(`"watchlist":true,"watchlist_offline_delay":"0"`)
	a := old.connect("a")
	a.signedIn(`{"id":"a","watchlist":["b"]}`)
	a.expect("pusher_internal:watchlist_events", "", `{"events":[{"name":"offline","user_ids":["b"]}]}`)
	next, _ := f.open(`"watchlist":true,"watchlist_offline_delay":"0"`)
	b := next.connect("b")
	b.signedIn(`{"id":"b","watchlist":["a"]}`)
	b.expect("pusher_internal:watchlist_events", "", `{"events":[{"name":"online","user_ids":["a"]}]}`)
	a.expect("pusher_internal:watchlist_events", "", `{"events":[{"name":"online","user_ids":["b"]}]}`)
	b.close()
	a.expect("pusher_internal:watchlist_events", "", `{"events":[{"name":"offline","user_ids":["b"]}]}`)
}

// TestGenerationsCache lets the second generation, and one after a crash, know
// what the first had cached.
func TestGenerationsCache(t *testing.T) {
	f := newFamily(t)
	old, oldHost := f.open("")
	old.push("cache-c", "e", "first")
	old.push("cache-d", "e", "other")
	next, nextHost := f.open("")
	next.ids = old.ids
	b := next.connect("b")
	b.subscribed("cache-c")
	b.expect("e", "cache-c", "first")
	next.push("cache-c", "e", "second") // as the bus gives it to both
	old.push("cache-c", "e", "second")
	oldHost.leave(old)
	next.push("cache-d", "e", "newer")
	nextHost.leave(next)
	last, _ := f.open("")
	c := last.connect("c")
	c.subscribed("cache-c")
	c.expect("e", "cache-c", "second")
	c.subscribed("cache-d")
	c.expect("e", "cache-d", "newer")
}

// TestGenerationsTellTheBusOnce follows what the bus is told across a reload and
// a crash.
func TestGenerationsTellTheBusOnce(t *testing.T) {
	f := newFamily(t)
	old, oldHost := f.open(`"leave_delay":"0"`)
	a := old.connect("a")
	a.joined(presence, "a", "a")
	a.subscribed("c")
	next, nextHost := f.open(`"leave_delay":"0"`)
	b := next.connect("b")
	b.joined(presence, "b", "a", "b")
	b.subscribed("cache-c")
	b.expect("pusher:cache_miss", "cache-c", "{}")
	a.expect("pusher_internal:member_added", presence, added("b"))
	want := []string{"channel_occupied " + presence, "member_added " + presence, "channel_occupied c",
		"member_added " + presence, "channel_occupied cache-c", "cache_miss cache-c"}
	waitNames(t, oldHost, want)
	if got := nextHost.names(); got != nil {
		t.Errorf("the other generation told %v", got)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := old.Instance.(core.Drainer).Drain(ctx); err != nil {
		t.Fatal(err)
	}
	oldHost.leave(old)
	waitNames(t, oldHost, want)
	b.unsubscribe("cache-c")
	b.subscribed("d")
	waitNames(t, nextHost, []string{"channel_vacated cache-c", "channel_occupied d", "channel_vacated c", "member_removed " + presence})
}

// TestCrash has a process die, and the next tell the bus who did not come back.
func TestCrash(t *testing.T) {
	f := newFamily(t)
	old, oldHost := f.open(`"leave_delay":"0"`)
	a := old.connect("a")
	a.joined(presence, "goes", "goes")
	b := old.connect("b")
	b.joined(presence, "stays", "goes", "stays")
	b.subscribed("c")
	stored := func() (channels int) {
		entries, err := oldHost.State().Bucket("happenings").List(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			channels += strings.Count(string(e.Value), `"goes"`) + strings.Count(string(e.Value), `"stays"`) + strings.Count(string(e.Value), `"c":"c"`)
		}
		return channels
	}
	for deadline := time.Now().Add(patience); stored() != 3; time.Sleep(time.Millisecond) { // until it is
		if time.Now().After(deadline) {
			t.Fatalf("%d stored", stored())
		}
	}
	oldHost.crash()
	next, nextHost := f.open(`"leave_delay":"0"`)
	again := next.connect("again")
	again.joined(presence, "stays", "stays")
	again.joined("presence-new", "stays", "stays")
	waitNames(t, nextHost, []string{"channel_occupied presence-new", "member_added presence-new", "member_removed " + presence, "channel_vacated c"})
}

// waitNames waits for happenings, in any order: nothing is promised between
// channels.
func waitNames(t testing.TB, g *generation, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		seen := len(g.Published())
		got := slices.Sorted(slices.Values(g.names()))
		switch {
		case slices.Equal(got, want):
			return
		case len(got) >= len(want):
			t.Fatalf("told %v, want %v", got, want)
		}
		t.Logf("%d of %d: %v", len(got), len(want), got)
		g.WaitPublished(ctx, seen+1)
	}
}
