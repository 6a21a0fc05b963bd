package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/inflight"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// hostServer serves bridge.v1.Host to one plugin process, on a socket in its
// private folder. A stream may name only instances that are open in that
// process.
type hostServer struct {
	bridgev1.UnimplementedHostServer
	path     string
	bus      *bus.Bus
	services services.Services
	handover *listenHandover
	log      *slog.Logger
	server   *grpc.Server
	served   sync.WaitGroup

	mu        sync.Mutex
	instances map[string]*Instance
}

func newHostServer(folder string, b *bus.Bus, services services.Services, log *slog.Logger) (*hostServer, error) {
	path := filepath.Join(folder, "host.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen for the plugin's calls: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	handover, err := newListenHandover(folder)
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	h := &hostServer{
		path: path, bus: b, services: services, handover: handover, log: log,
		server:    grpc.NewServer(stream.ServerOptions()...),
		instances: make(map[string]*Instance),
	}
	bridgev1.RegisterHostServer(h.server, h)
	h.served.Go(func() {
		if err := h.server.Serve(listener); err != nil {
			log.Error("serving a plugin's calls ended", "error", err)
		}
	})
	return h, nil
}

func (h *hostServer) close() {
	h.server.Stop()
	h.served.Wait()
	h.handover.close()
}

func (h *hostServer) add(i *Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.instances[i.name] = i
}

func (h *hostServer) remove(i *Instance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.instances, i.name)
}

func (h *hostServer) instance(name string) (*Instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.instances[name]
	if i == nil {
		return nil, status.Errorf(codes.NotFound, "this process has no instance %q", name)
	}
	return i, nil
}

// Listen implements bridge.v1.Host.
func (h *hostServer) Listen(ctx context.Context, r *bridgev1.ListenRequest) (*bridgev1.ListenReply, error) {
	if _, err := h.instance(r.GetInstance()); err != nil {
		return nil, err
	}
	token, err := h.fetch(ctx, r.GetInstance(), r.GetAddress())
	return &bridgev1.ListenReply{Token: token}, stream.ToStatus(err)
}

// Broadcast implements bridge.v1.Host.
func (h *hostServer) Broadcast(ctx context.Context, r *bridgev1.BroadcastRequest) (*bridgev1.BroadcastReply, error) {
	i, err := h.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	return &bridgev1.BroadcastReply{}, stream.ToStatus(i.broadcast(ctx, r.GetMessages()))
}

// Call implements bridge.v1.Host.
func (h *hostServer) Call(ctx context.Context, request *bridgev1.CallRequest) (*bridgev1.CallReply, error) {
	i, err := h.instance(request.GetInstance())
	if err != nil {
		return nil, err
	}
	answers, err := h.bus.Call(ctx, i.name, stream.CallFromProto(request.GetCall()))
	if err != nil {
		return nil, stream.ToStatus(err)
	}
	reply := &bridgev1.CallReply{}
	for _, answer := range answers {
		reply.Answers = append(reply.Answers, stream.AnswerToProto(answer))
	}
	return reply, nil
}

// Publish implements bridge.v1.Host: one stream for each instance.
func (h *hostServer) Publish(rpc grpc.BidiStreamingServer[bridgev1.PublicationBatch, bridgev1.ResultBatch]) error {
	names := metadata.ValueFromIncomingContext(rpc.Context(), stream.InstanceKey)
	if len(names) != 1 {
		return status.Errorf(codes.InvalidArgument, "the metadata key %s must name one instance", stream.InstanceKey)
	}
	i, err := h.instance(names[0])
	if err != nil {
		return err
	}
	p := &publishing{bus: h.bus, publisher: h.bus.Publisher(i.name), instance: i.name, outbox: stream.NewOutbox()}
	return p.run(rpc)
}

// publishing is one Publish stream: publications in, results out.
type publishing struct {
	instance  string
	bus       *bus.Bus
	publisher *bus.Publisher
	ledger    inflight.Ledger
	outbox    *stream.Outbox
	read      stream.Publications
	received  uint64 // number of the last publication
	saidAck   core.Ack
}

// run reads until the stream ends; results are written by a goroutine of their
// own, so that reading never waits for them.
func (p *publishing) run(rpc grpc.ServerStream) error {
	ctx, cancel := context.WithCancel(rpc.Context())
	var writing sync.WaitGroup
	defer writing.Wait()
	defer cancel()
	p.outbox.Wake() // the first message says what ack the routes ask for
	writing.Go(func() {
		_ = p.outbox.Write(ctx, p.trailer, func(m *stream.Message) error { return rpc.SendMsg(m) })
	})
	var message stream.Message // frames are copied when they are stamped: it can be reused
	for {
		if err := rpc.RecvMsg(&message); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := p.publish(message.Bytes); err != nil {
			return status.Error(codes.InvalidArgument, err.Error())
		}
	}
}

// publish hands a message's publications to the bus. The error ends the stream:
// the plugin does not keep to the protocol.
func (p *publishing) publish(message []byte) error {
	if err := p.read.Parse(message); err != nil {
		return err
	}
	first, count := p.read.First, uint64(len(p.read.Batch))
	if count == 0 {
		return nil
	}
	if first != p.received+1 {
		return fmt.Errorf("publication %d came where %d was due", first, p.received+1)
	}
	p.received += count
	if p.received-p.ledger.Through() > stream.PublishItems {
		return fmt.Errorf("more than %d publications without a result", stream.PublishItems)
	}
	p.publisher.Publish(p.read.Batch, time.Now(), first, p)
	return nil
}

// PublicationsDone implements bus.Replier: it books results and tells the plugin
// what it must be told.
func (p *publishing) PublicationsDone(first uint64, count int, result bus.Result) {
	loud := result.Err != nil || len(result.Receipts) > 0
	p.ledger.Book(first, count, loud, func(n uint64) {
		p.outbox.Add(resultSize(result), func(b []byte) []byte { return stream.AppendResult(b, n, result) })
	})
	p.outbox.Wake()
}

// resultSize is about what a result takes on the wire.
func resultSize(result bus.Result) int {
	size := 64
	for i := range result.Receipts {
		size += 128 + len(result.Receipts[i].Detail)
	}
	return size
}

// trailer appends the mark, and the routes' ack when it has changed.
func (p *publishing) trailer(b []byte) []byte {
	ack := p.bus.Ack(p.instance)
	if ack == p.saidAck {
		return stream.AppendResultTrailer(b, p.ledger.Through(), core.AckRoute)
	}
	p.saidAck = ack
	return stream.AppendResultTrailer(b, p.ledger.Through(), ack)
}
