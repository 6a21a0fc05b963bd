package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/egress"
	"github.com/pushbridge/bridge/core/kit/gate"
)

// noticeInterval is how often, at most, the log tells of failures.
const noticeInterval = time.Minute

// instance is one webhook. It implements core.Instance, core.Sink,
// core.Reconfigurer and core.Checker.
type instance struct {
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	notice  rate.Sometimes
	gone    atomic.Bool // the receiver has answered 410, and nothing better since

	live        atomic.Pointer[live]
	unanswered  gate.Gate
	delivering  sync.Mutex
	deliversTo  core.Sink // the sink of the last batch; guarded by delivering
	configuring sync.Mutex
	clients     []*egress.Client // all that were made; guarded by configuring

	// working ends when the instance is stopped and requests had their time.
	working context.Context
	cancel  context.CancelFunc
}

func newInstance(c config, host core.Host, now func() time.Time) (*instance, error) {
	i := &instance{log: host.Log(), now: now, notice: rate.Sometimes{Interval: noticeInterval}}
	var err error
	if i.metrics, err = newMetrics(host.Metrics()); err != nil {
		return nil, err
	}
	first, err := i.newLive(c, nil)
	if err != nil {
		return nil, err
	}
	i.clients = []*egress.Client{first.client}
	i.live.Store(first)
	i.working, i.cancel = context.WithCancel(context.Background())
	return i, nil
}

// Start implements core.Instance.
func (i *instance) Start(context.Context) error { return nil }

// Stop implements core.Instance. Requests under way, and what waits for them,
// have until ctx ends; then they are broken off.
func (i *instance) Stop(ctx context.Context) error {
	i.unanswered.Close()
	_ = i.unanswered.Wait(ctx)
	i.cancel()
	err := i.unanswered.Wait(context.Background()) // nothing waits for the network any more
	i.configuring.Lock()
	defer i.configuring.Unlock()
	for _, client := range i.clients {
		client.Close()
	}
	return err
}

// Deliver implements core.Sink.
func (i *instance) Deliver(ctx context.Context, batch core.Batch) error {
	i.delivering.Lock()
	defer i.delivering.Unlock()
	if sink := i.live.Load().sink; sink != i.deliversTo {
		// What the sink before still has is sent first, or the order would be lost.
		if err := i.unanswered.Wait(ctx); err != nil {
			return err
		}
		i.deliversTo = sink
	}
	if !i.unanswered.Enter(len(batch.Events)) {
		return core.RefuseRetry(core.CodeNotRunning, time.Second, "the webhook was stopped")
	}
	counted := core.NewBatch(batch.Events, func(first, count int, receipt core.Receipt) {
		for n := first; n < first+count; n++ {
			batch.Answer(n, receipt)
		}
		i.unanswered.Leave(count)
	})
	// Every event is answered, also after the end of ctx: Stop sees to it.
	return i.deliversTo.Deliver(context.WithoutCancel(ctx), counted)
}

// deliver handles one event that travels alone.
func (i *instance) deliver(_ context.Context, event core.Event) core.Receipt {
	p, receipt, post := i.prepare(i.live.Load(), &event)
	if !post {
		return receipt
	}
	return i.post([]prepared{p})
}

// prepare counts what is not to be posted.
func (i *instance) prepare(l *live, event *core.Event) (prepared, core.Receipt, bool) {
	p, receipt, post := l.prepare(event)
	if post {
		return p, receipt, true
	}
	result, app := "filtered", ""
	if receipt.Err != nil {
		result = "refused"
	}
	if signer, _ := l.signers.of(event.Space); signer != nil {
		app = signer.app
	}
	i.metrics.events.WithLabelValues(app, result).Inc()
	return p, receipt, false
}

// Reconfigure implements core.Reconfigurer. Every attempt from now on follows the
// new configuration, also for events that came before.
func (i *instance) Reconfigure(_ context.Context, raw json.RawMessage) error {
	c, err := read(raw)
	if err != nil {
		return err
	}
	i.configuring.Lock()
	defer i.configuring.Unlock()
	before := i.live.Load()
	next, err := i.newLive(c, before)
	if err != nil {
		return err
	}
	if next.client != before.client {
		i.clients = append(i.clients, next.client)
	}
	i.live.Store(next)
	i.gone.Store(false)
	return nil
}

// Check implements core.Checker.
func (i *instance) Check(context.Context) error {
	if i.gone.Load() {
		return errors.New("the receiver answered 410 Gone: it wants no more; take the webhook out, or correct its url")
	}
	return nil
}
