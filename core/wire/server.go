package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/metrics"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// server serves bridge.v1.Adapter for the adapters of this process.
type server struct {
	bridgev1.UnimplementedAdapterServer
	adapters []core.Adapter
	bridge   *grpc.ClientConn
	socket   string // of the bridge
	shared   *core.SharedObjects
	log      *slog.Logger

	mu        sync.Mutex
	instances map[string]*instance
}

func newServer(adapters []core.Adapter, hostSocket string, log *slog.Logger) (*server, error) {
	if len(adapters) == 0 {
		return nil, errors.New("no adapters")
	}
	options := append(stream.ClientOptions(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	bridge, err := grpc.NewClient("unix:"+hostSocket, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to the bridge at %q: %w", hostSocket, err)
	}
	return &server{
		adapters: adapters, bridge: bridge, socket: hostSocket, log: log,
		shared:    core.NewSharedObjects(),
		instances: make(map[string]*instance),
	}, nil
}

func (s *server) close() { s.bridge.Close() }

func (s *server) adapter(name string) (core.Adapter, error) {
	for _, a := range s.adapters {
		if a.Describe().Name == name {
			return a, nil
		}
	}
	return nil, status.Errorf(codes.NotFound, "this plugin has no adapter %q", name)
}

func (s *server) instance(name string) (*instance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.instances[name]
	if i == nil || i.adapted == nil {
		return nil, status.Errorf(codes.NotFound, "no instance %q is open in this process", name)
	}
	return i, nil
}

// Describe implements bridge.v1.Adapter.
func (s *server) Describe(context.Context, *bridgev1.DescribeRequest) (*bridgev1.DescribeReply, error) {
	reply := &bridgev1.DescribeReply{TakesListeners: true}
	for _, a := range s.adapters {
		reply.Adapters = append(reply.Adapters, stream.InfoToProto(a.Describe()))
	}
	return reply, nil
}

// Validate implements bridge.v1.Adapter.
func (s *server) Validate(_ context.Context, r *bridgev1.ValidateRequest) (*bridgev1.ValidateReply, error) {
	a, err := s.adapter(r.GetAdapter())
	if err != nil {
		return nil, err
	}
	return stream.ValidationToProto(a.Validate(r.GetConfig())), nil
}

// Open implements bridge.v1.Adapter.
func (s *server) Open(ctx context.Context, r *bridgev1.OpenRequest) (*bridgev1.OpenReply, error) {
	a, err := s.adapter(r.GetAdapter())
	if err != nil {
		return nil, err
	}
	i := newInstance(r.GetInstance(), a.Describe(), s)
	if err := s.claim(i); err != nil {
		return nil, err
	}
	opened, err := a.Open(ctx, i.name, r.GetConfig(), i.host)
	if err != nil {
		s.release(i)
		i.end(ctx)
		return nil, stream.ToStatus(err)
	}
	s.mu.Lock()
	i.adapted = opened
	s.mu.Unlock()
	return i.abilities(), nil
}

func (s *server) claim(i *instance) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instances[i.name] != nil {
		return status.Errorf(codes.AlreadyExists, "instance %q is open already", i.name)
	}
	s.instances[i.name] = i
	return nil
}

func (s *server) release(i *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.instances, i.name)
}

// Start implements bridge.v1.Adapter.
func (s *server) Start(ctx context.Context, r *bridgev1.InstanceRequest) (*bridgev1.StartReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if err := i.start(ctx); err != nil {
		return nil, stream.ToStatus(err)
	}
	return &bridgev1.StartReply{}, nil
}

// Drain implements bridge.v1.Adapter.
func (s *server) Drain(ctx context.Context, r *bridgev1.InstanceRequest) (*bridgev1.DrainReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if drainer, ok := i.adapted.(core.Drainer); ok {
		err = drainer.Drain(ctx)
	}
	return &bridgev1.DrainReply{}, stream.ToStatus(err)
}

// Reconfigure implements bridge.v1.Adapter.
func (s *server) Reconfigure(ctx context.Context, r *bridgev1.ReconfigureRequest) (*bridgev1.ReconfigureReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	reconfigurer, ok := i.adapted.(core.Reconfigurer)
	if !ok {
		return &bridgev1.ReconfigureReply{Restart: true}, nil
	}
	err = reconfigurer.Reconfigure(ctx, r.GetConfig())
	if errors.Is(err, core.ErrRestart) {
		return &bridgev1.ReconfigureReply{Restart: true}, nil
	}
	return &bridgev1.ReconfigureReply{}, stream.ToStatus(err)
}

// Answer implements bridge.v1.Adapter.
func (s *server) Answer(ctx context.Context, r *bridgev1.AnswerRequest) (*bridgev1.AnswerReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	answer := core.Answer{None: true}
	if answerer, ok := i.adapted.(core.Answerer); ok {
		answer = answerer.Answer(ctx, stream.CallFromProto(r.GetCall()))
	}
	return &bridgev1.AnswerReply{Answer: stream.AnswerToProto(answer)}, nil
}

// Check implements bridge.v1.Adapter.
func (s *server) Check(ctx context.Context, r *bridgev1.InstanceRequest) (*bridgev1.CheckReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	reply := &bridgev1.CheckReply{}
	if checker, ok := i.adapted.(core.Checker); ok {
		if err := checker.Check(ctx); err != nil {
			reply.Problem = err.Error()
		}
	}
	return reply, nil
}

// FromPeer implements bridge.v1.Adapter.
func (s *server) FromPeer(_ context.Context, r *bridgev1.FromPeerRequest) (*bridgev1.FromPeerReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	if receiver, ok := i.adapted.(core.PeerReceiver); ok {
		for _, m := range r.GetMessages() {
			receiver.FromPeer(i.ctx, m.GetPeer(), m.GetData())
		}
	}
	return &bridgev1.FromPeerReply{}, nil
}

// PeersChanged implements bridge.v1.Adapter.
func (s *server) PeersChanged(_ context.Context, r *bridgev1.PeersChangedRequest) (*bridgev1.PeersChangedReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	i.host.peers.set(r.GetPeers())
	if receiver, ok := i.adapted.(core.PeerReceiver); ok {
		receiver.PeersChanged(i.ctx)
	}
	return &bridgev1.PeersChangedReply{}, nil
}

// Metrics implements bridge.v1.Adapter.
func (s *server) Metrics(_ context.Context, r *bridgev1.InstanceRequest) (*bridgev1.MetricsReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	text, err := metrics.Text(i.host.metrics)
	return &bridgev1.MetricsReply{Text: text}, stream.ToStatus(err)
}

// Stop implements bridge.v1.Adapter.
func (s *server) Stop(ctx context.Context, r *bridgev1.InstanceRequest) (*bridgev1.StopReply, error) {
	i, err := s.instance(r.GetInstance())
	if err != nil {
		return nil, err
	}
	err = i.adapted.Stop(ctx)
	s.release(i)
	i.end(ctx)
	return &bridgev1.StopReply{}, stream.ToStatus(err)
}

// Deliver implements bridge.v1.Adapter: one stream for each instance.
func (s *server) Deliver(rpc grpc.BidiStreamingServer[bridgev1.DeliverBatch, bridgev1.ReceiptBatch]) error {
	names := metadata.ValueFromIncomingContext(rpc.Context(), stream.InstanceKey)
	if len(names) != 1 {
		return status.Errorf(codes.InvalidArgument, "the metadata key %s must name one instance", stream.InstanceKey)
	}
	i, err := s.instance(names[0])
	if err != nil {
		return err
	}
	sink, ok := i.adapted.(core.Sink)
	if !ok {
		return status.Errorf(codes.FailedPrecondition, "%s takes no events", i.name)
	}
	err = newDelivering(i, sink).run(rpc)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
