package process

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/inflight"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// Instance is an opened instance in a plugin process; it is the bus.Sink of one
// whose adapter takes events. Its methods may be called from any goroutine.
type Instance struct {
	name    string
	process *Process
	info    core.Info
	does    *bridgev1.OpenReply // the optional methods that it has
	member  atomic.Pointer[peers.Member]
	log     *slog.Logger

	window  *inflight.Window[bus.Delivery]
	deliver grpc.ClientStream // nil if it takes no events
	cancel  context.CancelFunc
	reading sync.WaitGroup

	sending sync.Mutex // one message after the other on deliver
	buffers stream.Buffers
}

// Open makes an instance of one of the process's adapters.
func (p *Process) Open(ctx context.Context, info core.Info, name string, config []byte) (*Instance, error) {
	if err := stream.CheckInstanceName(name); err != nil {
		return nil, err
	}
	i := &Instance{
		name: name, process: p, info: info,
		log:    p.options.Log.With("instance", name),
		window: inflight.NewWindow[bus.Delivery](stream.DeliverEvents, stream.DeliverBytes),
		cancel: func() {},
	}
	p.host.add(i) // before Open: the plugin may connect from within it
	reply, err := p.adapter.Open(ctx, &bridgev1.OpenRequest{Adapter: info.Name, Instance: name, Config: config})
	if err != nil {
		p.host.remove(i)
		return nil, p.wrap("open "+name, err)
	}
	i.does = reply
	if info.Sink {
		if err := i.openDeliver(); err != nil {
			p.host.remove(i)
			return nil, p.wrap("open "+name, err)
		}
	}
	i.join(p.options.Services.Peers)
	return i, nil
}

// openDeliver opens the stream of events and starts reading receipts.
func (i *Instance) openDeliver() error {
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), stream.InstanceKey, i.name))
	rpc, err := i.process.conn.NewStream(ctx, &bridgev1.Adapter_ServiceDesc.Streams[0], bridgev1.Adapter_Deliver_FullMethodName)
	if err != nil {
		cancel()
		return err
	}
	i.deliver, i.cancel = rpc, cancel
	i.reading.Go(i.readReceipts)
	return nil
}

// Name is the instance's name.
func (i *Instance) Name() string { return i.name }

// Info describes its adapter.
func (i *Instance) Info() core.Info { return i.info }

// Start makes the instance accept, and returns once it is ready.
func (i *Instance) Start(ctx context.Context) error {
	_, err := i.process.adapter.Start(ctx, &bridgev1.InstanceRequest{Instance: i.name})
	return i.wrap("start", err)
}

// Drain lets the instance send its listeners away until ctx ends. One that
// cannot returns at once.
func (i *Instance) Drain(ctx context.Context) error {
	if !i.does.GetDrains() {
		return nil
	}
	_, err := i.process.adapter.Drain(ctx, &bridgev1.InstanceRequest{Instance: i.name})
	return i.wrap("drain", err)
}

// Reconfigure applies a configuration in place, or returns core.ErrRestart.
func (i *Instance) Reconfigure(ctx context.Context, config json.RawMessage) error {
	if !i.does.GetReconfigures() {
		return core.ErrRestart
	}
	reply, err := i.process.adapter.Reconfigure(ctx, &bridgev1.ReconfigureRequest{Instance: i.name, Config: config})
	if err == nil && reply.GetRestart() {
		return core.ErrRestart
	}
	return i.wrap("reconfigure", err)
}

// Check asks whether the instance can do its work. An instance without a check
// of its own answers by being reachable.
func (i *Instance) Check(ctx context.Context) error {
	reply, err := i.process.adapter.Check(ctx, &bridgev1.InstanceRequest{Instance: i.name})
	if err != nil {
		return i.wrap("check", err)
	}
	if problem := reply.GetProblem(); problem != "" {
		return fmt.Errorf("%s: %s", i.name, problem)
	}
	return nil
}

// Answer implements bus.Sink.
func (i *Instance) Answer(ctx context.Context, call core.Call) core.Answer {
	if !i.does.GetAnswers() {
		return core.Answer{None: true}
	}
	reply, err := i.process.adapter.Answer(ctx, &bridgev1.AnswerRequest{Instance: i.name, Call: stream.CallToProto(call)})
	if err != nil {
		return core.Answer{Err: core.AsRefusal(i.wrap("answer "+call.Op, err))}
	}
	return stream.AnswerFromProto(reply.GetAnswer())
}

// Metrics are the instance's metrics, as Prometheus text.
func (i *Instance) Metrics(ctx context.Context) ([]byte, error) {
	reply, err := i.process.adapter.Metrics(ctx, &bridgev1.InstanceRequest{Instance: i.name})
	if err != nil {
		return nil, i.wrap("metrics", err)
	}
	return reply.GetText(), nil
}

// Progress tells how many events were handed over and not answered, and how many
// were answered so far.
func (i *Instance) Progress() (unanswered int, answered uint64) { return i.window.Progress() }

// Stop ends the instance; what is under way has until ctx ends. Deliveries that
// are still without an answer get one here.
func (i *Instance) Stop(ctx context.Context) error {
	_, err := i.process.adapter.Stop(ctx, &bridgev1.InstanceRequest{Instance: i.name})
	i.leave()
	i.cancel()
	i.reading.Wait()
	i.process.host.remove(i)
	return i.wrap("stop", err)
}

// Deliver implements bus.Sink: it waits for room in the window and sends the
// batch as one message.
func (i *Instance) Deliver(ctx context.Context, batch []bus.Delivery) error {
	i.sending.Lock()
	defer i.sending.Unlock()
	var first uint64
	size := func(d bus.Delivery) int { return d.Frame.Len() }
	if err := i.window.Add(ctx, batch, size, func(n uint64) { first = n }); err != nil {
		return err
	}
	if err := i.deliver.SendMsg(i.buffers.NewDeliverBatch(first, batch)); err != nil {
		// The stream is broken. The batch is in the window, so the reader, which
		// learns of it as well, answers it.
		i.log.Debug("sending events failed", "error", err)
	}
	return nil
}

// readReceipts answers deliveries until the stream ends, then the rest with
// outcome unknown.
func (i *Instance) readReceipts() {
	err := i.receiveReceipts()
	i.cancel()
	gone := &core.Refusal{
		Code: core.CodeGone, Message: fmt.Sprintf("instance %q ended with the event in flight", i.name),
		Retryable: true, After: time.Second, Outcome: core.OutcomeUnknown,
	}
	lost := i.window.Close()
	for _, d := range lost {
		d.Answer(core.Receipt{Err: gone})
	}
	if len(lost) > 0 {
		i.log.Warn("events in flight were lost with their instance", "events", len(lost), "error", err)
	}
}

func (i *Instance) receiveReceipts() error {
	var answered []bus.Delivery
	var message stream.Message // receipts keep no part of it
	for {
		if err := i.deliver.RecvMsg(&message); err != nil {
			return err
		}
		through, err := stream.ParseReceipts(message.Bytes, func(number uint64, receipt core.Receipt) {
			if d, ok := i.window.Answer(number); ok {
				d.Answer(receipt)
			}
		})
		if err != nil {
			return err
		}
		var known bool
		if answered, known = i.window.AnswerThrough(through, answered[:0]); !known {
			return fmt.Errorf("receipt for event %d, which was never sent", through)
		}
		for _, d := range answered {
			d.Answer(core.Accepted())
		}
		clear(answered)
	}
}

func (i *Instance) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return i.process.wrap(what+" "+i.name, err)
}
