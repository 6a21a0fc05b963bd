package crossbar

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

const replayedText = "REST bridge signature was invalid (request replayed)."

func TestReplay(t *testing.T) {
	r := start(t, nil, signing)
	query := signed(1, hello)
	r.post(query, hello).id(t, 202)
	if f := r.post(query, hello).fault(t, 401); f.Error != replayedText {
		t.Errorf("%+v", f)
	}
	// Another spelling of the same signature, and the other method.
	send(t, r.client, request{method: "PUT", url: r.url(strings.ReplaceAll(query, "%3D", "")), body: []byte(hello)}).fault(t, 401)
	r.post(signed(2, hello), hello).id(t, 202)
	r.published(2)
	if n := r.metric("bridge_crossbar_replay_entries"); n != 2 {
		t.Errorf("%v entries", n)
	}
	if n := r.metric("bridge_crossbar_requests_total", "code", "replayed", "status", "401"); n != 2 {
		t.Errorf("%v counted", n)
	}
}

// TestTenThousandAtOnce sends one signed request ten thousand times at once, and
// lets the one that is published wait for all the others' answers.
func TestTenThousandAtOnce(t *testing.T) {
	const requests = 10_000
	others := make(chan struct{})
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(ctx context.Context, _ core.Publication) ([]core.Receipt, error) {
			select {
			case <-others:
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}, signing, `{"max_in_flight":20000,"publish_timeout":"1m"}`)
	query := signed(1, hello)
	var published, refused atomic.Int32
	var done sync.WaitGroup
	begin := make(chan struct{})
	for range requests {
		done.Go(func() {
			<-begin
			w := httptest.NewRecorder()
			q := httptest.NewRequest(http.MethodPost, "/push?"+query, bytes.NewReader([]byte(hello)))
			r.ServeHTTP(w, q)
			switch w.Code {
			case 202:
				published.Add(1)
			case 401:
				if refused.Add(1) == requests-1 {
					close(others)
				}
			default:
				t.Errorf("status %d: %s", w.Code, w.Body)
			}
		})
	}
	close(begin)
	done.Wait()
	if published.Load() != 1 || refused.Load() != requests-1 {
		t.Errorf("%d published, %d refused", published.Load(), refused.Load())
	}
	r.published(1)
}

// TestReplayAfterFailure lets a client repeat what certainly was not published.
func TestReplayAfterFailure(t *testing.T) {
	for _, test := range []struct {
		name     string
		receipts []core.Receipt
		err      error
		status   int
		again    int
	}{
		{"router down", nil, core.RefuseRetry(core.CodeNotRunning, time.Second, ""), 503, 202},
		{"router down, with its receipt", []core.Receipt{{Err: core.Refuse("x", "")}}, core.RefuseRetry(core.CodeNotRunning, time.Second, ""), 503, 202},
		{"defect", nil, core.Refuse(core.CodeInternal, ""), 500, 202},
		{"another output took it", []core.Receipt{core.Accepted()}, core.RefuseRetry(core.CodeNotRunning, time.Second, ""), 503, 401},
		{"outcome unknown", nil, &core.Refusal{Code: core.CodeGone, Retryable: true, Outcome: core.OutcomeUnknown}, 503, 401},
		{"no acknowledgement", nil, context.DeadlineExceeded, 504, 401},
		{"refused by the router", nil, core.Refuse("wamp.error.not_authorized", ""), 400, 401},
	} {
		for _, strict := range []string{`{"strict_seq":false}`, `{"strict_seq":true}`} {
			t.Run(test.name+strict, func(t *testing.T) {
				var failed atomic.Bool
				r := start(t, func(host *coretest.Host) {
					host.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
						if failed.CompareAndSwap(false, true) {
							return test.receipts, test.err
						}
						return nil, nil
					}
				}, signing, strict)
				r.post(signed(1, hello), hello).fault(t, test.status)
				r.post(signed(1, hello), hello).is(t, test.again)
			})
		}
	}
}

func TestReplayAfterUnansweredAuthorization(t *testing.T) {
	var calls atomic.Int32
	r := start(t, func(host *coretest.Host) {
		host.OnCall = func(context.Context, core.Call) ([]core.Answer, error) {
			if calls.Add(1) == 1 {
				return nil, context.DeadlineExceeded
			}
			return nil, nil
		}
	}, signing)
	r.post(signed(1, hello), hello).fault(t, 503)
	r.post(signed(1, hello), hello).id(t, 202)
}

// TestReplayExpiry forgets a request when its timestamp has long been stale.
func TestReplayExpiry(t *testing.T) {
	r := start(t, nil, signing)
	query := signed(1, hello)
	r.post(query, hello).id(t, 202)
	r.clock.advance(300 * time.Second)
	r.post(query, hello).fault(t, 401)
	r.clock.advance(5 * time.Second)
	later, _ := Sign("secret", Parameters{Key: "foobar", Timestamp: r.clock.now().Format(time.RFC3339Nano), Seq: "1", Nonce: "1"}, []byte(hello))
	r.post(later, hello).id(t, 202)
	if n := r.metric("bridge_crossbar_replay_entries"); n != 2 {
		t.Errorf("%v remembered, want 2", n)
	}
	r.clock.advance(time.Millisecond)
	if n := r.metric("bridge_crossbar_replay_entries"); n != 1 {
		t.Errorf("%v remembered, want 1", n)
	}
	r.post(later, hello).fault(t, 401)
}

func TestReplayTTL(t *testing.T) {
	r := start(t, nil, signing, `{"timestamp_delta_limit":0,"replay_ttl":"1h"}`)
	query := signed(1, hello)
	r.post(query, hello).id(t, 202)
	r.clock.advance(time.Hour)
	r.post(query, hello).fault(t, 401)
	r.clock.advance(time.Second)
	r.post(query, hello).id(t, 202)
}

func TestReplayFull(t *testing.T) {
	r := start(t, nil, signing, `{"replay_max":2}`)
	r.post(signed(1, hello), hello).id(t, 202)
	r.post(signed(2, hello), hello).id(t, 202)
	for range 3 {
		if got := r.post(signed(3, hello), hello); got.fault(t, 503).Error == "" || got.header.Get("Retry-After") == "" {
			t.Errorf("%+v", got)
		}
	}
	r.post(signed(2, hello), hello).fault(t, 401)
	r.published(2)
	if n := r.metric("bridge_crossbar_replay_full_total"); n != 3 {
		t.Errorf("%v counted", n)
	}
	if n := strings.Count(r.host.logged(), "the replay cache is full"); n == 0 {
		t.Error("not logged")
	}
}

func TestReplayIdempotent(t *testing.T) {
	var count atomic.Uint64
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
			return []core.Receipt{{ID: fmt.Sprint(count.Add(1))}}, nil
		}
	}, signing, `{"replay":"idempotent","strict_seq":true}`)
	for range 3 {
		if id := r.post(signed(1, hello), hello).id(t, 202); id != 1 {
			t.Errorf("id %d, want 1", id)
		}
	}
	if id := r.post(signed(2, hello), hello).id(t, 202); id != 2 {
		t.Errorf("id %d, want 2", id)
	}
	r.published(2)
	if err := r.Reconfigure(t.Context(), settingsOf(t, signing)); err != nil {
		t.Fatal(err)
	}
	r.post(signed(1, hello), hello).fault(t, 401)
}

// TestReplayIdempotentWaits repeats a request that is still under way.
func TestReplayIdempotentWaits(t *testing.T) {
	publishing, proceed := make(chan struct{}), make(chan struct{})
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(context.Context, core.Publication) ([]core.Receipt, error) {
			close(publishing)
			<-proceed
			return []core.Receipt{{ID: "77"}}, nil
		}
	}, signing, `{"replay":"idempotent","publish_timeout":"20s"}`)
	answers := make(chan answer, 6)
	ask := func() {
		got, err := trySend(r.client, request{url: r.url(signed(1, hello)), body: []byte(hello)})
		if err != nil {
			t.Error(err)
		}
		answers <- got
	}
	go ask()
	<-publishing
	for range cap(answers) - 1 {
		go ask()
	}
	close(proceed)
	for range cap(answers) {
		if id := (<-answers).id(t, 202); id != 77 {
			t.Errorf("id %d", id)
		}
	}
	r.published(1)
}

// TestReplayIdempotentTimeout does not wait for ever for the first.
func TestReplayIdempotentTimeout(t *testing.T) {
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(ctx context.Context, _ core.Publication) ([]core.Receipt, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}, signing, `{"replay":"idempotent","publish_timeout":"20ms"}`)
	for range 2 {
		r.post(signed(1, hello), hello).fault(t, 504)
	}
	r.published(1)
}

// TestReplaysUnderLoad holds the cache against a map, with a moving clock.
func TestReplaysUnderLoad(t *testing.T) {
	cache := newReplays()
	known := map[replayID]time.Time{}
	now := time.Unix(1_000_000, 0)
	for range 20_000 {
		now = now.Add(time.Duration(rand.IntN(50)) * time.Millisecond)
		id := replayID{key: "k", mac: signature{byte(rand.IntN(256)), byte(rand.IntN(2))}}
		expires := now.Add(time.Duration(rand.IntN(10)) * time.Second)
		for other, until := range known {
			if until.Before(now) {
				delete(known, other)
			}
		}
		entry, seen := cache.admit(id, now, expires, 300, false)
		_, want := known[id]
		switch {
		case want && seen != repeated, !want && len(known) < 300 && seen != admitted, !want && len(known) >= 300 && seen != full:
			t.Fatalf("%v: seen %d", id, seen)
		case seen == admitted:
			known[id] = expires
			result := outcome{again: rand.IntN(3) == 0}
			cache.settle(entry, result)
			if result.again {
				delete(known, id)
			}
		}
		if cache.size(now) != len(known) || len(cache.expiry) != len(known) {
			t.Fatalf("%d entries, %d in the heap, want %d", cache.size(now), len(cache.expiry), len(known))
		}
	}
}
