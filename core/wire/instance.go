package wire

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/inflight"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// instance is one open instance of an adapter in this process.
type instance struct {
	name    string
	info    core.Info
	host    *host
	adapted core.Instance // nil until it is open

	// ctx lives until the instance is stopped.
	ctx    context.Context
	cancel context.CancelFunc
}

func newInstance(name string, info core.Info, s *server) *instance {
	i := &instance{name: name, info: info}
	i.ctx, i.cancel = context.WithCancel(context.Background())
	i.host = newHost(i.ctx, name, s)
	return i
}

func (i *instance) abilities() *bridgev1.OpenReply {
	reply := &bridgev1.OpenReply{}
	_, reply.Drains = i.adapted.(core.Drainer)
	_, reply.Reconfigures = i.adapted.(core.Reconfigurer)
	_, reply.Answers = i.adapted.(core.Answerer)
	_, reply.Checks = i.adapted.(core.Checker)
	return reply
}

// start connects a source to the bus, so that its first event finds the way
// open, and starts the adapter.
func (i *instance) start(ctx context.Context) error {
	if i.info.Source {
		if err := i.host.publisher.connect(ctx); err != nil {
			return err
		}
	}
	return i.adapted.Start(ctx)
}

// end releases what the instance held of this process; publications that were
// sent have until ctx ends to arrive.
func (i *instance) end(ctx context.Context) {
	i.host.close(ctx)
	i.cancel()
	i.host.peers.close()
}

// delivering is one Deliver stream: events in, receipts out.
type delivering struct {
	instance *instance
	sink     core.Sink
	ledger   inflight.Ledger
	outbox   *stream.Outbox
}

func newDelivering(i *instance, sink core.Sink) *delivering {
	return &delivering{instance: i, sink: sink, outbox: stream.NewOutbox()}
}

// run reads batches until the stream ends. Deliver is called here, so that an
// adapter that blocks in it holds up the next batch and nothing else.
func (d *delivering) run(rpc grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(rpc.Context())
	var writing sync.WaitGroup
	defer writing.Wait()
	defer cancel()
	writing.Go(func() {
		trailer := func(b []byte) []byte { return stream.AppendReceiptTrailer(b, d.ledger.Through()) }
		_ = d.outbox.Write(ctx, trailer, func(m *stream.Message) error { return rpc.SendMsg(m) })
	})
	for {
		var message stream.Message
		if err := rpc.RecvMsg(&message); err != nil {
			return err
		}
		first, events, err := stream.ParseDeliver(message.Bytes)
		if err != nil {
			return err
		}
		d.deliver(first, events)
	}
}

func (d *delivering) deliver(first uint64, events []core.Event) {
	batch := core.NewBatch(events, func(from, count int, receipt core.Receipt) {
		d.answer(first+uint64(from), count, receipt)
	})
	if err := d.sink.Deliver(d.instance.ctx, batch); err != nil {
		batch.AnswerAll(core.Receipt{Err: core.AsRefusal(err)})
	}
}

// smallEntry is about what a receipt without detail takes.
const smallEntry = 128

// answer books a receipt and tells the bridge what it must be told.
func (d *delivering) answer(number uint64, count int, receipt core.Receipt) {
	d.ledger.Book(number, count, !stream.Silent(&receipt), func(n uint64) {
		d.outbox.Add(len(receipt.Detail)+smallEntry, func(b []byte) []byte { return stream.AppendNumberedReceipt(b, n, &receipt) })
	})
	d.outbox.Wake()
}
