// Package inprocess runs an adapter inside the bridge process, without the
// plugin boundary: `isolation: none`, and the in-process half of core/coretest.
// An [Instance] is to the bus what process.Instance is for one in a plugin.
//
// Events cross as frames here too, so that an adapter cannot tell the
// difference and two adapters never share memory.
package inprocess

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/inflight"
	"github.com/pushbridge/bridge/core/metrics"
	"github.com/pushbridge/bridge/core/services"
)

// The window of events that an instance has not answered, as in a plugin.
const (
	windowEvents = 4096
	windowBytes  = 4 << 20
)

// Instance is an opened instance in this process. Its methods may be called from
// any goroutine.
type Instance struct {
	name    string
	info    core.Info
	adapted core.Instance
	host    *host
	window  *inflight.Window[bus.Delivery]

	ctx    context.Context // lives until the instance is stopped
	cancel context.CancelFunc

	delivering sync.Mutex // one Deliver at a time
}

// Process is what the instances of one file and process share.
type Process struct {
	bus      *bus.Bus
	services services.Services
	log      *slog.Logger
	shared   *core.SharedObjects
}

// NewProcess returns a place for instances.
func NewProcess(b *bus.Bus, offered services.Services, log *slog.Logger) *Process {
	return &Process{bus: b, services: offered, log: log, shared: core.NewSharedObjects()}
}

// Open makes an instance of the adapter.
func (p *Process) Open(ctx context.Context, adapter core.Adapter, name string, config json.RawMessage) (*Instance, error) {
	i := &Instance{
		name: name, info: adapter.Describe(),
		window: inflight.NewWindow[bus.Delivery](windowEvents, windowBytes),
	}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.host = newHost(name, p)
	adapted, err := adapter.Open(ctx, name, config, i.host)
	if err != nil {
		i.cancel()
		return nil, err
	}
	i.adapted = adapted
	i.host.peers.join(p.services.Peers, i)
	return i, nil
}

// Name is the instance's name.
func (i *Instance) Name() string { return i.name }

// Info describes its adapter.
func (i *Instance) Info() core.Info { return i.info }

// Start makes the instance accept, and returns once it is ready.
func (i *Instance) Start(ctx context.Context) error { return i.adapted.Start(ctx) }

// Drain lets the instance send its listeners away until ctx ends.
func (i *Instance) Drain(ctx context.Context) error {
	if drainer, ok := i.adapted.(core.Drainer); ok {
		return drainer.Drain(ctx)
	}
	return nil
}

// Reconfigure applies a configuration in place, or returns core.ErrRestart.
func (i *Instance) Reconfigure(ctx context.Context, config json.RawMessage) error {
	if reconfigurer, ok := i.adapted.(core.Reconfigurer); ok {
		return reconfigurer.Reconfigure(ctx, config)
	}
	return core.ErrRestart
}

// Check asks whether the instance can do its work.
func (i *Instance) Check(ctx context.Context) error {
	if checker, ok := i.adapted.(core.Checker); ok {
		return checker.Check(ctx)
	}
	return nil
}

// Answer implements bus.Sink.
func (i *Instance) Answer(ctx context.Context, call core.Call) core.Answer {
	if answerer, ok := i.adapted.(core.Answerer); ok {
		return answerer.Answer(ctx, call)
	}
	return core.Answer{None: true}
}

// Metrics are the instance's metrics, as Prometheus text.
func (i *Instance) Metrics(context.Context) ([]byte, error) { return metrics.Text(i.host.metrics) }

// Progress tells how many events were handed over and not answered, and how many
// were answered so far.
func (i *Instance) Progress() (unanswered int, answered uint64) { return i.window.Progress() }

// Stop ends the instance; what is under way has until ctx ends. Deliveries that
// are still without an answer get one here.
func (i *Instance) Stop(ctx context.Context) error {
	err := i.adapted.Stop(ctx)
	i.host.peers.leave()
	i.cancel()
	gone := &core.Refusal{
		Code: core.CodeGone, Message: "instance " + i.name + " was stopped with the event in flight",
		Retryable: true, After: time.Second, Outcome: core.OutcomeUnknown,
	}
	for _, d := range i.window.Close() {
		d.Answer(core.Receipt{Err: gone})
	}
	return err
}

// Deliver implements bus.Sink.
func (i *Instance) Deliver(ctx context.Context, batch []bus.Delivery) error {
	sink, ok := i.adapted.(core.Sink)
	if !ok {
		return errors.New(i.name + " takes no events")
	}
	i.delivering.Lock()
	defer i.delivering.Unlock()
	var first uint64
	size := func(d bus.Delivery) int { return d.Frame.Len() }
	if err := i.window.Add(ctx, batch, size, func(n uint64) { first = n }); err != nil {
		return err
	}
	events := make([]core.Event, len(batch))
	for n := range batch {
		events[n] = batch[n].Frame.Decode()
	}
	toSink := core.NewBatch(events, func(from, count int, receipt core.Receipt) {
		for n := from; n < from+count; n++ {
			if d, open := i.window.Answer(first + uint64(n)); open {
				d.Answer(receipt)
			}
		}
	})
	if err := sink.Deliver(i.ctx, toSink); err != nil {
		toSink.AnswerAll(core.Receipt{Err: core.AsRefusal(err)})
	}
	return nil
}
