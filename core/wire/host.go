package wire

import (
	"context"
	"fmt"
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// host is core.Host for one instance in this process.
type host struct {
	name      string
	client    bridgev1.HostClient
	publisher *publisher
	peers     *peerGroup
	socket    string // the path of the bridge's socket
	shared    *core.SharedObjects
	log       *slog.Logger
	metrics   *prometheus.Registry
}

func newHost(ctx context.Context, name string, s *server) *host {
	log := s.log.With("instance", name)
	client := bridgev1.NewHostClient(s.bridge)
	return &host{
		name:      name,
		client:    client,
		peers:     newPeerGroup(ctx, name, client),
		socket:    s.socket,
		publisher: newPublisher(ctx, name, s.bridge, log),
		shared:    s.shared,
		log:       log,
		metrics:   prometheus.NewRegistry(),
	}
}

func (h *host) close(ctx context.Context) { h.publisher.close(ctx) }

// Publish implements core.Host.
func (h *host) Publish(ctx context.Context, p core.Publication) ([]core.Receipt, error) {
	return h.publisher.publish(ctx, p)
}

// Call implements core.Host.
func (h *host) Call(ctx context.Context, call core.Call) ([]core.Answer, error) {
	reply, err := h.client.Call(ctx, &bridgev1.CallRequest{Instance: h.name, Call: stream.CallToProto(call)})
	if err != nil {
		return nil, fmt.Errorf("call %s: %w", call.Op, stream.FromStatus(err))
	}
	answers := make([]core.Answer, 0, len(reply.GetAnswers()))
	for _, answer := range reply.GetAnswers() {
		answers = append(answers, stream.AnswerFromProto(answer))
	}
	return answers, nil
}

// Peers implements core.Host.
func (h *host) Peers() core.Peers { return h.peers }

// State implements core.Host.
func (h *host) State() core.State { return instanceState{h.name, h.client} }

// Shared implements core.Host.
func (h *host) Shared(key string, create func() (io.Closer, error)) (io.Closer, func() error, error) {
	return h.shared.Acquire(key, create)
}

// Log implements core.Host.
func (h *host) Log() *slog.Logger { return h.log }

// Metrics implements core.Host.
func (h *host) Metrics() prometheus.Registerer { return h.metrics }
