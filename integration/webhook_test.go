//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	pusher "github.com/pusher/pusher-http-go/v5"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/webhook"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/coretest"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/inprocess"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/state"
)

// hookReceiver verifies with Pusher's library and refuses two requests of three.
type hookReceiver struct {
	t      *testing.T
	client pusher.Client

	mu     sync.Mutex
	asked  int
	bodies map[string]int        // attempts by body
	taken  []pusher.WebhookEvent // of the requests that were not refused
}

func (r *hookReceiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	hook, err := r.client.Webhook(q.Header, body)
	if err != nil {
		r.t.Errorf("%s: %v", body, err)
		return
	}
	r.bodies[string(body)]++
	if r.asked++; r.asked%3 != 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	r.taken = append(r.taken, hook.Events...)
}

// hookResults takes the results of publications.
type hookResults chan bus.Result

// PublicationsDone implements bus.Replier.
func (r hookResults) PublicationsDone(_ uint64, _ int, result bus.Result) { r <- result }

// Client events that go to a webhook which fails most of the time arrive once,
// those of a channel in order, over an edge that retries.
func TestWebhookOverAnEdgeThatRetries(t *testing.T) {
	for name, test := range map[string]struct {
		inFlight int
		batch    any
	}{
		"one by one": {1, nil}, "batched": {1, map[string]any{"window": "1ms"}}, "batched in groups": {50, map[string]any{"window": "1ms"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			receiver := &hookReceiver{t: t, client: pusher.Client{AppID: "4", Key: "key", Secret: "secret"}, bodies: make(map[string]int)}
			server := httptest.NewServer(receiver)
			defer server.Close()
			config := map[string]any{"url": server.URL, "format": "pusher", "key": "key", "secret": "secret"}
			if test.batch != nil {
				config["batch"] = test.batch
			}
			publishToHook(t, config, bus.Retry{First: time.Millisecond, Max: 10 * time.Millisecond, InFlight: test.inFlight})

			receiver.mu.Lock()
			defer receiver.mu.Unlock()
			next, seen := make(map[string]int), make(map[string]bool)
			for _, e := range receiver.taken {
				if seen[e.Channel+e.Data] {
					t.Errorf("%s was taken twice", e.Channel+e.Data)
				}
				seen[e.Channel+e.Data] = true
				if want := fmt.Sprint(next[e.Channel]); test.inFlight == 1 && e.Data != want {
					t.Errorf("%s: %s came, want %s", e.Channel, e.Data, want)
				}
				next[e.Channel]++
			}
			if len(seen) != hookChannels*hookEvents {
				t.Errorf("%d events were taken, want %d", len(seen), hookChannels*hookEvents)
			}
			if test.batch == nil && len(receiver.bodies) != hookChannels*hookEvents {
				t.Errorf("%d different bodies of %d events: an event that is sent again must be the same bytes",
					len(receiver.bodies), hookChannels*hookEvents)
			}
		})
	}
}

const (
	hookChannels = 4
	hookEvents   = 25 // for each
)

// publishToHook publishes numbered client events and waits until all are taken.
func publishToHook(t *testing.T, config map[string]any, retry bus.Retry) {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b := bus.New()
	process := inprocess.NewProcess(b, services.Services{Peers: peers.NewRegistry(), State: state.New()}, coretest.Logger(t))
	instance, err := process.Open(ctx, webhook.Adapter{}, "hook", raw)
	if err != nil {
		t.Fatal(err)
	}
	defer instance.Stop(ctx)
	b.Target("hook").Run(instance.Info(), instance)
	edge := bus.NewEdge(b.Target("hook"), bus.EdgeOptions{Retry: &retry})
	defer edge.Close(ctx)
	b.SetTable(bus.NewTable([]bus.Route{{Name: "r", Sources: []string{"in"}, Edges: []*bus.Edge{edge}}}))
	results := make(hookResults, hookChannels*hookEvents)
	for n := range hookEvents {
		for c := range hookChannels {
			f, err := frame.Encode(&core.Event{
				Kind: core.KindClient, Space: "4", Topic: fmt.Sprintf("private-%d", c), Name: "client-n",
				Type: core.TypeJSON, Data: fmt.Appendf(nil, "%d", n), Meta: map[string]string{"pusher.socket_id": "1.2"},
			})
			if err != nil {
				t.Fatal(err)
			}
			b.Publisher("in").Publish([]bus.Publication{{Frames: []frame.Frame{f}, Ack: core.AckAll}}, time.Now(), 1, results)
		}
	}
	for range hookChannels * hookEvents {
		select {
		case result := <-results:
			if result.Err != nil {
				t.Errorf("result %+v", result)
			}
		case <-ctx.Done():
			t.Fatal("events are left without an answer")
		}
	}
}
