package rest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func keyed(channel, data, key string) string {
	return `{"name":"e","channel":"` + channel + `","data":"` + data + `","idempotency_key":"` + key + `"}`
}

// TestKeysAreApart has one key in every place where it means something else.
func TestKeysAreApart(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	first := r.event(keyed("a", "1", "k")).is(200)
	r.event(keyed("b", "2", "k")).is(200).says(first.body)
	r.event(keyed("a", "1", "K")).is(200)
	r.published(2)
	r.post("/apps/3/batch_events", `{"batch":[`+keyed("a", "1", "k")+`]}`).is(200)
	r.published(3)
	r.send(request{method: "POST", path: "/apps/4/events", key: "other-key", body: keyed("a", "1", "k")}).is(200)
	r.published(4)
	if n := r.metric("bridge_pusher_rest_repeats_total"); n != 1 {
		t.Errorf("%v repeats", n)
	}
}

// TestKeyIsOfTheApp counts a repeat under another key of the app.
func TestKeyIsOfTheApp(t *testing.T) {
	config := `{"listen":"127.0.0.1:0","apps":[{"id":"3","keys":[{"key":"` + testKey + `","secret":"` + testSecret + `"},{"key":"second","secret":"other"}]}]}`
	r := start(t, nil, []byte(config))
	first := r.event(keyed("a", "1", "k")).is(200)
	r.send(request{method: "POST", path: "/apps/3/events", key: "second", secret: "other", body: keyed("a", "1", "k")}).is(200).says(first.body)
	r.published(1)
}

// TestRepeatIsAuthenticated gives a stranger nothing.
func TestRepeatIsAuthenticated(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	r.event(keyed("a", "1", "k")).is(200)
	r.send(request{method: "POST", path: "/apps/3/events", secret: "wrong", body: keyed("a", "1", "k")}).is(401)
}

// TestRepeatKeepsCounts answers with the counts of the first time, to the byte.
func TestRepeatKeepsCounts(t *testing.T) {
	l := someListeners()
	r := start(t, l.prepare, settingsOf(t, ""))
	body := `{"name":"e","channel":"public","data":"x","info":"subscription_count","idempotency_key":"k"}`
	first := r.event(body).is(200).contains(`"subscription_count":1`)
	l.sinks[0]["public"] = core.Channel{Subscriptions: 9}
	r.event(body).is(200).says(first.body)
	r.published(1)
}

func TestWindow(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"idempotency_window":"10s"}`))
	r.event(keyed("a", "1", "k")).is(200)
	for _, wait := range []time.Duration{9 * time.Second, 999 * time.Millisecond} {
		r.clock.advance(wait)
		r.event(keyed("a", "1", "k")).is(200)
		r.published(1)
	}
	r.clock.advance(time.Millisecond)
	r.event(keyed("a", "1", "k")).is(200)
	r.published(2)

	off := start(t, nil, settingsOf(t, `{"idempotency_window":"0"}`))
	for range 2 {
		off.event(keyed("a", "1", "k")).is(200)
		off.event(`{"name":"e","channel":"a","data":"x","idempotency_key":5}`).is(200)
	}
	off.published(4)
}

// TestReloadRemembers starts another generation after the first.
func TestReloadRemembers(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	first := r.event(keyed("a", "1", "k")).is(200)
	r.open(settingsOf(t, ""))
	r.event(keyed("a", "1", "k")).is(200).says(first.body)
	r.published(1)
}

// TestRepeatWaits sends many at once while the first is at work. The first fails
// where it must; then the next is a first one.
func TestRepeatWaits(t *testing.T) {
	const callers = 8
	for _, failures := range []int{0, 2} {
		t.Run(fmt.Sprint(failures), func(t *testing.T) {
			entered, proceed := make(chan struct{}, callers), make(chan error)
			r := start(t, func(h *coretest.Host) {
				h.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
					entered <- struct{}{}
					return nil, <-proceed
				}
			}, settingsOf(t, ""))
			answers := make(chan answer, callers)
			for range callers {
				go func() {
					a, err := r.try(request{method: "POST", path: "/apps/3/events", body: keyed("a", "1", "k")})
					if err != nil {
						t.Error(err)
					}
					answers <- a
				}()
			}
			for range failures {
				<-entered
				proceed <- core.RefuseRetry(core.CodeQueueFull, 0, "full")
			}
			<-entered
			proceed <- nil
			bodies := make(map[string]int)
			for range callers {
				a := <-answers
				bodies[fmt.Sprint(a.status, " ", a.body)]++
			}
			id := r.published(failures + 1).ID
			if bodies[`200 {"event_ids":{"a":"`+id+`"}}`] != callers-failures || len(bodies) > 2 {
				t.Errorf("%v", bodies)
			}
		})
	}
}

func TestKeyedBatch(t *testing.T) {
	l := someListeners()
	r := start(t, l.prepare, settingsOf(t, ""))
	batch := func(elements ...string) answer {
		return r.post("/apps/3/batch_events", `{"batch":[`+strings.Join(elements, ",")+`]}`)
	}
	counted := `{"name":"e","channel":"public","data":"x","info":"subscription_count","idempotency_key":"k1"}`
	plain := `{"name":"e","channel":"z","data":"x"}`

	batch(counted, keyed("a", "1", "k2"), plain).is(200).says(`{"batch":[{"subscription_count":1},{},{}]}`)
	r.published(3)
	l.sinks[0]["public"] = core.Channel{Subscriptions: 5}
	batch(keyed("a", "1", "k2"), plain, counted, keyed("b", "2", "k3"), keyed("c", "3", "k3")).is(200).says(`{"batch":[{},{},{"subscription_count":1},{},{}]}`)
	events := r.events()
	if len(events) != 5 || events[3].Topic != "z" || events[4].Topic != "b" {
		t.Errorf("%+v", events)
	}
	batch(keyed("a", "1", "k2"), keyed("b", "2", "k3")).is(200).says("{}")
	batch(keyed("a", "1", "k1")).is(200).says(`{"batch":[{"subscription_count":1}]}`)
	r.published(5)
	batch(keyed("a", "1", "k9"), `{"name":"e","channel":"a"}`).is(400)
	batch(keyed("a", "1", "k9")).is(200)
	r.published(6)
}

// TestBatchesDoNotWaitForEachOther has batches with the same keys in other orders.
func TestBatchesDoNotWaitForEachOther(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	var sending sync.WaitGroup
	for i := range 20 {
		a, b := keyed("a", "1", "ka"), keyed("b", "1", "kb")
		if i%2 == 0 {
			a, b = b, a
		}
		sending.Go(func() {
			answer, err := r.try(request{method: "POST", path: "/apps/3/batch_events", body: `{"batch":[` + a + `,` + b + `]}`})
			if err != nil || answer.status != 200 {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
	sending.Wait()
	r.published(2)
}

// TestAnswersAreBounded forgets the oldest, and counts.
func TestAnswersAreBounded(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	r.answers.limit = 3
	for i := range 5 {
		r.event(keyed("a", "1", fmt.Sprint("k", i))).is(200)
	}
	r.published(5)
	for i := 2; i < 5; i++ {
		r.event(keyed("a", "1", fmt.Sprint("k", i))).is(200)
	}
	r.published(5)
	r.event(keyed("a", "1", "k0")).is(200)
	r.published(6)
	if n := r.metric("bridge_pusher_rest_answers_forgotten_total"); n != 3 {
		t.Errorf("%v answers were forgotten, want 3", n)
	}
}

// faultyBucket is a bucket whose operations fail as the test says; what it does
// not say is done.
type faultyBucket struct {
	core.Bucket
	get, put, replace func() error
}

func (b faultyBucket) Get(ctx context.Context, key string) (core.Entry, error) {
	if b.get != nil {
		if err := b.get(); err != nil {
			return core.Entry{}, err
		}
	}
	return b.Bucket.Get(ctx, key)
}

func (b faultyBucket) Put(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	if b.put != nil {
		if err := b.put(); err != nil {
			return 0, err
		}
	}
	return b.Bucket.Put(ctx, key, value, ttl)
}

func (b faultyBucket) Replace(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	if b.replace != nil {
		if err := b.replace(); err != nil {
			return 0, err
		}
	}
	return b.Bucket.Replace(ctx, key, value, ttl, revision)
}

// TestStateFull makes room by forgetting. Where there is none, nothing is published
// that could not be told from its repeat.
func TestStateFull(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	full := 0
	write := func() error {
		if full > 0 {
			full--
			return fmt.Errorf("put: %w", core.Refuse(core.CodeTooLarge, "full"))
		}
		return nil
	}
	r.answers.bucket = faultyBucket{Bucket: r.answers.bucket, put: write, replace: write}
	for i := range 4 {
		r.event(keyed("a", "1", fmt.Sprint("k", i))).is(200)
	}
	full = 2
	r.event(keyed("a", "1", "k4")).is(200)
	for _, key := range []string{"k2", "k3", "k4"} {
		r.event(keyed("a", "1", key)).is(200)
	}
	r.published(5)
	r.event(keyed("a", "1", "k0")).is(200)
	r.published(6)

	full = 100
	r.event(keyed("a", "1", "k5")).is(503)
	r.published(6)
	full = 0
	r.event(keyed("a", "1", "k5")).is(200)
	r.published(7)
}

// TestAnswerIsNotKept gives the answer all the same, and frees the key.
func TestAnswerIsNotKept(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	r.answers.bucket = faultyBucket{Bucket: r.answers.bucket, put: func() error { return errors.New("broken") }}
	for range 2 {
		r.event(keyed("a", "1", "k")).is(200)
		r.post("/apps/3/batch_events", `{"batch":[`+keyed("a", "1", "k")+`]}`).is(200)
	}
	r.published(4)
	if log := r.host.logged(); !strings.Contains(log, "could not be remembered") {
		t.Errorf("log: %s", log)
	}
}

// TestStateUnreachable publishes nothing that may be a repeat.
func TestStateUnreachable(t *testing.T) {
	broken := func() error { return errors.New("the bridge is gone") }
	for name, fault := range map[string]faultyBucket{"claim": {replace: broken}, "look": {get: broken}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil, settingsOf(t, ""))
			r.event(keyed("a", "1", "k")).is(200)
			r.post("/apps/3/batch_events", `{"batch":[`+keyed("a", "1", "k")+`]}`).is(200)
			fault.Bucket = r.answers.bucket
			r.answers.bucket = fault
			r.event(keyed("a", "1", "k")).is(503)
			r.post("/apps/3/batch_events", `{"batch":[`+keyed("b", "1", "new")+`,`+keyed("a", "1", "k")+`]}`).is(503)
			r.published(2)
			r.event(`{"name":"e","channel":"a","data":"x"}`).is(200)
		})
	}
}

// TestClaimOfAnotherProcess waits for a first request that another generation of
// the instance has at work; when that gives up, it is the first itself.
func TestClaimOfAnotherProcess(t *testing.T) {
	state := coretest.NewHost(t).State()
	ctx, now := t.Context(), time.Now()
	for _, succeeds := range []bool{true, false} {
		id := fmt.Sprint("id", succeeds)
		one, two := newAnswers(state, 10), newAnswers(state, 10)
		looked := make(chan struct{}, 1)
		two.bucket = faultyBucket{Bucket: two.bucket, get: func() error {
			select {
			case looked <- struct{}{}:
			default:
			}
			return nil
		}}
		if first, _, err := one.claim(ctx, "app", id, now, time.Minute); first != nil || err != nil {
			t.Fatal(first, err)
		}
		got := make(chan string)
		go func() {
			first, _, err := two.claim(ctx, "app", id, now, time.Minute)
			if err != nil {
				t.Error(err)
			}
			got <- string(first)
		}()
		<-looked
		want := ""
		if succeeds {
			want = "{}"
			if _, err := one.put(ctx, "app", id, []byte(want), now, time.Minute); err != nil {
				t.Error(err)
			}
		} else {
			one.abandon(id)
		}
		if first := <-got; first != want {
			t.Errorf("%q, want %q", first, want)
		}
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, _, err := newAnswers(state, 10).claim(over, "app", "idfalse", now, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("a claim that nobody gives up: %v", err)
	}
}
