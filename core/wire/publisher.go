package wire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/inflight"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// publisher is the Publish stream of one instance: publications out, results in.
type publisher struct {
	ctx    context.Context // the instance's
	name   string
	bridge *grpc.ClientConn
	log    *slog.Logger

	window *inflight.Window[sent]
	outbox *stream.Outbox
	ack    atomic.Uint32 // core.Ack that the routes ask for
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// sent is a publication that has no result yet.
type sent struct {
	bytes  int
	result chan bus.Result // capacity 1; nil if nobody waits
}

func newPublisher(ctx context.Context, name string, bridge *grpc.ClientConn, log *slog.Logger) *publisher {
	p := &publisher{
		ctx: ctx, name: name, bridge: bridge, log: log,
		window: inflight.NewWindow[sent](stream.PublishItems, stream.PublishBytes),
		outbox: stream.NewOutbox(),
		cancel: func() {},
	}
	p.ack.Store(uint32(core.AckQueued))
	return p
}

// connect opens the stream and waits until the bridge has said what the routes
// ask for. ctx bounds the wait; the stream lives with the instance.
func (p *publisher) connect(ctx context.Context) error {
	streamCtx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(p.ctx, stream.InstanceKey, p.name))
	rpc, err := p.bridge.NewStream(streamCtx, &bridgev1.Host_ServiceDesc.Streams[0], bridgev1.Host_Publish_FullMethodName)
	if err != nil {
		cancel()
		return fmt.Errorf("connect %s to the bus: %w", p.name, err)
	}
	p.cancel = cancel
	ready := make(chan error, 1) // told once
	p.work.Go(func() { p.read(streamCtx, rpc, ready) })
	p.work.Go(func() {
		none := func(b []byte) []byte { return b }
		_ = p.outbox.Write(streamCtx, none, func(m *stream.Message) error { return rpc.SendMsg(m) })
	})
	select {
	case err := <-ready:
		return err
	case <-ctx.Done():
		return fmt.Errorf("connect %s to the bus: %w", p.name, ctx.Err())
	}
}

// close waits for the results that are due until ctx ends, and ends the stream.
// Publications without a result get one.
func (p *publisher) close(ctx context.Context) {
	_ = p.window.Idle(ctx) // the result of waiting shows in who is abandoned
	p.cancel()
	p.work.Wait()
	p.abandon()
}

// publish is core.Host.Publish.
func (p *publisher) publish(ctx context.Context, publication core.Publication) ([]core.Receipt, error) {
	if len(publication.Events) == 0 {
		return nil, nil
	}
	item := sent{bytes: frame.Sizes(publication.Events)}
	if item.bytes > core.MaxEventBytes {
		return nil, core.Refuse(core.CodeTooLarge, "publication of %d bytes: the limit is %d", item.bytes, core.MaxEventBytes)
	}
	if ack := max(publication.Ack, core.Ack(p.ack.Load())); ack > core.AckSent || publication.NeedID || publication.EventIDs {
		item.result = make(chan bus.Result, 1)
	}
	err := p.window.Add(ctx, []sent{item}, func(s sent) int { return s.bytes }, func(number uint64) {
		p.outbox.Add(item.bytes, func(b []byte) []byte { return stream.AppendPublication(b, number, &publication) })
	})
	if err != nil {
		return nil, p.sendError(err)
	}
	if item.result == nil {
		return nil, nil
	}
	select {
	case result := <-item.result:
		if result.Err != nil {
			return result.Receipts, result.Err
		}
		return result.Receipts, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *publisher) sendError(err error) error {
	if errors.Is(err, inflight.ErrClosed) {
		return core.RefuseRetry(core.CodeNotRunning, time.Second, "%s has no connection to the bus", p.name)
	}
	return err
}

// read takes results until the stream ends.
func (p *publisher) read(ctx context.Context, rpc grpc.ClientStream, ready chan<- error) {
	defer p.abandon()
	first := true
	var answered []sent
	var message stream.Message // results keep no part of it
	for {
		err := rpc.RecvMsg(&message)
		if err == nil {
			answered, err = p.take(message.Bytes, answered[:0])
		}
		if first {
			ready <- err
			first = false
		}
		if err != nil {
			if ctx.Err() == nil {
				p.log.Error("the connection to the bus broke", "error", err)
			}
			p.cancel()
			return
		}
	}
}

// take hands the results of a message to those who wait.
func (p *publisher) take(message []byte, answered []sent) ([]sent, error) {
	results, err := stream.ParseResults(message)
	if err != nil {
		return answered, err
	}
	if results.Ack != core.AckRoute {
		p.ack.Store(uint32(results.Ack))
	}
	for _, single := range results.Single {
		if item, ok := p.window.Answer(single.Number); ok {
			p.tell(item, single.Result)
		}
	}
	answered, known := p.window.AnswerThrough(results.Through, answered)
	if !known {
		return answered, fmt.Errorf("result for publication %d, which was never sent", results.Through)
	}
	for _, item := range answered {
		p.tell(item, bus.Result{})
	}
	clear(answered)
	return answered, nil
}

// tell hands over a result; one that nobody waits for is logged if it is bad.
func (p *publisher) tell(item sent, result bus.Result) {
	if item.result != nil {
		item.result <- result
		return
	}
	if result.Err != nil {
		p.log.Warn("a publication was refused after it was sent", "code", result.Err.Code, "error", result.Err.Message)
	}
}

// abandon tells those who wait that the outcome will never be known.
func (p *publisher) abandon() {
	for _, item := range p.window.Close() {
		p.tell(item, bus.Result{Err: &core.Refusal{
			Code: core.CodeGone, Message: "the connection to the bus ended before the result came",
			Retryable: true, Outcome: core.OutcomeUnknown,
		}})
	}
}
