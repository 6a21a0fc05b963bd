package space

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/metrics"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// newSpace makes the Space of an app that emits into told.
func newSpace(t testing.TB, a *app.App, told *[]string) *Space {
	t.Helper()
	counts, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	writer := wsout.New(wsout.Options{})
	t.Cleanup(func() {
		if err := writer.Close(t.Context()); err != nil {
			t.Log(err) // the context has ended by then
		}
	})
	return New(a, Options{
		Writer: writer, CacheBytes: 10_000, News: func() {}, Dirty: func() {}, Counts: counts.For("3"),
		Emit: func(e core.Event) { *told = append(*told, e.Name+" "+string(e.Data)) },
	})
}

// TestCrowd has the count of a crowd told at most once in five seconds.
func TestCrowd(t *testing.T) {
	a := appWith(t, "k", "s")
	a.SubscriptionCount, a.Happenings = true, []string{app.SubscriptionCount}
	var told []string
	s := newSpace(t, a, &told)
	s.Own(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.room("c", channel.Public)
	now := time.Unix(1000, 0)
	change := func(after time.Duration, subscribers int, want ...string) {
		t.Helper()
		now = now.Add(after)
		told = nil
		r.subscribers = subscribers
		r.telling = false // in place of the timer
		s.settle(now, r)
		if fmt.Sprint(told) != fmt.Sprint(want) {
			t.Errorf("at %d: told %v, want %v", subscribers, told, want)
		}
	}
	told1 := func(n int) string { return fmt.Sprintf(`subscription_count {"subscription_count":%d}`, n) }
	change(0, 1, told1(1))
	change(0, 1)
	change(0, 100, told1(100))
	change(0, 101)
	if !r.telling {
		t.Error("nobody will tell")
	}
	change(4*time.Second, 150)
	change(time.Second, 150, told1(150))
	change(time.Second, 151)
	change(time.Second, 99, told1(99))
	change(0, 0)
}

// TestCacheIsBounded fills the cache beyond its bytes.
func TestCacheIsBounded(t *testing.T) {
	var told []string
	s := newSpace(t, appWith(t, "k", "s"), &told)
	for n := range 100 {
		e := core.Event{ID: fmt.Sprintf("%03d", n), Topic: fmt.Sprint("cache-", n), Name: "e", Type: core.TypeText, Data: make([]byte, 100)}
		if r := s.Deliver(&e); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if s.cache.bytes > s.cache.most || len(s.cache.byChannel) == 0 || len(s.cache.byChannel) != s.cache.byAge.Len() {
		t.Errorf("%d bytes in %d entries", s.cache.bytes, s.cache.byAge.Len())
	}
	now := time.Now()
	if s.cache.get("cache-0", now) != nil || s.cache.get("cache-99", now) == nil {
		t.Error("the newest gave way")
	}
	older := &cached{Channel: "cache-99", ID: "001", Expires: now.Add(time.Hour)}
	if s.cache.put(older, now) || s.cache.get("cache-99", now).ID != "099" {
		t.Error("an older event replaced a newer")
	}
	if s.cache.get("cache-99", now.Add(31*time.Minute)) != nil {
		t.Error("it lasts for ever")
	}
}
