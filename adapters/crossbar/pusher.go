package crossbar

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
)

// noticeInterval is how often, at most, the log repeats a complaint that every
// request could cause.
const noticeInterval = time.Second

// pusher is an instance: one endpoint. It implements core.Instance, core.Drainer,
// core.Reconfigurer and http.Handler.
type pusher struct {
	host     core.Host
	log      *slog.Logger
	now      func() time.Time
	endpoint *httpin.Endpoint
	metrics  *metrics

	live          atomic.Pointer[live]
	reconfiguring sync.Mutex

	// What is remembered of requests, whatever the configuration.
	permissions *permissions
	replays     *replays
	sequences   *sequences
	failures    *buckets // of signatures, by address

	inside gate
	room   sync.Pool // of *buffers

	fullNotice, failureNotice rate.Sometimes

	// working ends when the instance is stopped and requests had their time.
	working context.Context
	cancel  context.CancelFunc
}

func newPusher(c config, host core.Host, now func() time.Time) (*pusher, error) {
	p := &pusher{
		host:          host,
		log:           host.Log(),
		now:           now,
		permissions:   newPermissions(host),
		replays:       newReplays(),
		sequences:     newSequences(),
		failures:      newBuckets(failureRate, failureBurst),
		fullNotice:    rate.Sometimes{Interval: noticeInterval},
		failureNotice: rate.Sometimes{Interval: noticeInterval},
	}
	first, err := newLive(c, nil)
	if err != nil {
		return nil, err
	}
	p.live.Store(first)
	if p.metrics, err = newMetrics(host.Metrics(), c.Path, func() int { return p.replays.size(now()) }); err != nil {
		return nil, err
	}
	handlers := make(map[string]http.Handler)
	for _, path := range c.paths() {
		handlers[pattern(path)] = p
	}
	if p.endpoint, err = httpin.NewEndpoint(host, c.Config, handlers); err != nil {
		return nil, err
	}
	p.working, p.cancel = context.WithCancel(context.Background())
	return p, nil
}

// pattern is the path alone, for http.ServeMux, which takes a slash at the end for
// everything below.
func pattern(path string) string {
	if strings.HasSuffix(path, "/") {
		return path + "{$}"
	}
	return path
}

// Start implements core.Instance.
func (p *pusher) Start(ctx context.Context) error {
	if !p.live.Load().signed() {
		p.log.Info("the endpoint is unsigned: everybody who reaches it may publish", "path", p.live.Load().config.Path)
	}
	return p.endpoint.Start(ctx)
}

// Drain implements core.Drainer. Requests on the connections there are go on being
// published; see httpin.Endpoint.Drain.
func (p *pusher) Drain(ctx context.Context) error { return p.endpoint.Drain(ctx) }

// Stop implements core.Instance. Requests under way have until ctx ends; then
// what they wait for is cancelled.
func (p *pusher) Stop(ctx context.Context) error {
	err := p.endpoint.Stop(ctx)
	p.cancel()
	p.inside.wait()
	return err
}

// Reconfigure implements core.Reconfigurer. What belongs to the HTTP server
// needs a new instance; everything else counts from the next request on: nobody is
// disconnected, and what is remembered of requests stays.
func (p *pusher) Reconfigure(_ context.Context, raw json.RawMessage) error {
	c, err := read(raw)
	if err != nil {
		return err
	}
	p.reconfiguring.Lock()
	defer p.reconfiguring.Unlock()
	before := p.live.Load()
	if c.Listen != before.config.Listen || c.Path != before.config.Path ||
		c.Limits != before.config.Limits || !reflect.DeepEqual(c.TLS, before.config.TLS) {
		return core.ErrRestart
	}
	next, err := newLive(c, before)
	if err != nil {
		return err
	}
	p.live.Store(next)
	p.sequences.keep(next.keys)
	return nil
}
