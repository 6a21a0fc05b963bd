package socket

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/socket/metrics"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/adapters/pusher/socket/space"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/gate"
	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// Instance is one configured server.
type Instance struct {
	host        core.Host
	metrics     *metrics.Metrics
	proxies     httpin.Proxies
	endpoint    *httpin.Endpoint
	writer      *wsout.Writer
	source      *source
	generations *generations
	apps        atomic.Pointer[apps]

	started, draining, stopped atomic.Bool

	mu         sync.Mutex // one change of configuration at a time
	config     config
	deliveries gate.Gate
}

const (
	// returnTime is how long clients that were sent away may take to come back
	// before they are missed: reconnecting, and asking their application for
	// authorization again.
	returnTime = 5 * time.Second
	// cacheBytes bounds the cached events of one app, within what core.State
	// holds.
	cacheBytes = 32 << 20
)

func newInstance(c config, host core.Host) (*Instance, error) {
	counts, err := metrics.New(host.Metrics())
	if err != nil {
		return nil, err
	}
	proxies, err := httpin.NewProxies(c.TrustedProxies)
	if err != nil {
		return nil, err
	}
	i := &Instance{host: host, metrics: counts, proxies: proxies, config: c, writer: wsout.New(wsout.Options{})}
	i.source = newSource(host, counts)
	i.generations = newGenerations(host, func() *apps { return i.apps.Load() })
	i.apps.Store(newApps(c.Apps, nil, i.openSpace))
	i.generations.begin()
	i.endpoint, err = httpin.NewEndpoint(host, c.Config, map[string]http.Handler{c.path() + "{key}": i})
	if err != nil {
		return nil, errors.Join(err, i.release(context.Background()))
	}
	return i, nil
}

// openSpace puts an app to work.
func (i *Instance) openSpace(a *app.App) *space.Space {
	return space.New(a, space.Options{
		Writer: i.writer, Escape: i.config.Escape, Return: returnTime, CacheBytes: cacheBytes,
		Emit: i.source.put, News: i.generations.news, Dirty: i.generations.unsaved,
		Counts: i.metrics.For(string(a.ID)),
	})
}

// Start implements core.Instance.
func (i *Instance) Start(ctx context.Context) error {
	i.generations.start(ctx)
	if err := i.endpoint.Start(ctx); err != nil {
		return err
	}
	i.started.Store(true)
	return nil
}

// Check implements core.Checker.
func (i *Instance) Check(context.Context) error {
	switch {
	case i.draining.Load():
		return errors.New("the Pusher server is sending its clients away")
	case !i.started.Load() || i.endpoint.Addr() == nil:
		return errors.New("the Pusher server is not listening")
	}
	return nil
}

// Reconfigure implements core.Reconfigurer: apps come, go and change in place.
// Only the clients of an app that is gone or disabled lose their connection.
func (i *Instance) Reconfigure(_ context.Context, raw json.RawMessage) error {
	c, report := parse(raw)
	if err := report.Err(); err != nil {
		return err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.config.sameListener(&c) {
		return core.ErrRestart
	}
	i.config = c
	before := i.apps.Load()
	after := newApps(c.Apps, before, i.openSpace)
	i.apps.Store(after)
	i.generations.changed()
	changes := app.Compare(before.set, after.set)
	for _, id := range changes.Removed {
		before.byID[id].space.Shut(protocol.CloseUnknownApp)
	}
	for _, id := range changes.Disabled {
		after.byID[id].space.CloseAll(protocol.CloseAppDisabled)
	}
	return nil
}

// Drain implements core.Drainer. The listener is closed at once; a connection that
// was accepted before is told to come back, as all the others are.
func (i *Instance) Drain(ctx context.Context) error {
	i.draining.Store(true)
	var endpoint sync.WaitGroup
	var err error
	endpoint.Go(func() { err = i.endpoint.Drain(ctx) })
	i.generations.yield(ctx)
	i.sendAway(ctx)
	endpoint.Wait()
	i.sendAway(ctx) // who was being accepted meanwhile
	return err
}

// sendAway closes the connections, at an even pace until ctx ends: clients that
// are told to come back do so at once, all of them.
func (i *Instance) sendAway(ctx context.Context) {
	var all []*space.Listener
	for _, e := range i.apps.Load().byID {
		all = append(all, e.space.Staying()...)
	}
	const ownPace = 10 * time.Millisecond // without a deadline
	pace := ownPace
	if deadline, limited := ctx.Deadline(); limited && len(all) > 0 {
		// The last one still needs time to answer.
		pace = time.Until(deadline) * 9 / 10 / time.Duration(len(all))
	}
	began := time.Now()
	for n, l := range all {
		if n > 0 && !sleep(ctx, time.Until(began.Add(time.Duration(n)*pace))) {
			return
		}
		l.SendAway()
	}
}

// sleep waits, and reports false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Stop implements core.Instance.
func (i *Instance) Stop(ctx context.Context) error {
	if i.stopped.Swap(true) {
		return nil
	}
	i.started.Store(false)
	i.draining.Store(true)
	return errors.Join(i.endpoint.Stop(ctx), i.release(ctx))
}

// farewellPatience is how long clients have to answer the close of a server that
// stops.
const farewellPatience = time.Second

// release ends everything but the endpoint.
func (i *Instance) release(ctx context.Context) error {
	i.deliveries.Close()
	_ = i.deliveries.Wait(ctx) // what is under way when its time is over is cut off below
	i.generations.stop(ctx)
	for _, e := range i.apps.Load().byID {
		e.space.Shut(protocol.CloseRestart)
	}
	i.source.stop(ctx)
	i.await(ctx)
	return i.writer.Close(ctx)
}

// await waits until all connections have gone, for a moment.
func (i *Instance) await(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, farewellPatience)
	defer cancel()
	for i.writer.Len() > 0 && sleep(ctx, 5*time.Millisecond) {
	}
}
