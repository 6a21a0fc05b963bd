package inprocess

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/services"
)

// host is core.Host for one instance in this process.
type host struct {
	name      string
	bus       *bus.Bus
	publisher *bus.Publisher
	services  services.Services
	peers     *peerGroup
	shared    *core.SharedObjects
	log       *slog.Logger
	metrics   *prometheus.Registry
}

func newHost(name string, p *Process) *host {
	return &host{
		name: name, bus: p.bus, publisher: p.bus.Publisher(name), services: p.services, peers: &peerGroup{}, shared: p.shared,
		log:     p.log.With("instance", name),
		metrics: prometheus.NewRegistry(),
	}
}

// Publish implements core.Host.
func (h *host) Publish(ctx context.Context, p core.Publication) ([]core.Receipt, error) {
	if len(p.Events) == 0 {
		return nil, nil
	}
	publication := bus.Publication{Ack: p.Ack, NeedID: p.NeedID, EventIDs: p.EventIDs, Frames: make([]frame.Frame, len(p.Events))}
	size := 0
	for i := range p.Events {
		f, err := frame.Encode(&p.Events[i])
		if err != nil {
			return nil, err
		}
		publication.Frames[i] = f
		if size += f.Len(); size > core.MaxEventBytes {
			return nil, core.Refuse(core.CodeTooLarge, "publication of more than %d bytes", core.MaxEventBytes)
		}
	}
	waiting := make(waiter, 1)
	h.publisher.Publish([]bus.Publication{publication}, time.Now(), 1, waiting)
	select {
	case result := <-waiting:
		if result.Err != nil {
			return result.Receipts, result.Err
		}
		return result.Receipts, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// waiter takes one result; it has capacity 1, so nobody is held up when the
// publisher has given up waiting.
type waiter chan bus.Result

// PublicationsDone implements bus.Replier.
func (w waiter) PublicationsDone(_ uint64, _ int, result bus.Result) { w <- result }

// Call implements core.Host.
func (h *host) Call(ctx context.Context, call core.Call) ([]core.Answer, error) {
	return h.bus.Call(ctx, h.name, call)
}

// Listen implements core.Host.
func (h *host) Listen(ctx context.Context, address string) (net.Listener, error) {
	if h.services.Socket == nil {
		return nil, fmt.Errorf("listen on %s: this bridge opens no sockets", address)
	}
	descriptor, err := h.services.Socket(ctx, h.name, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	file := os.NewFile(uintptr(descriptor), address)
	defer file.Close() // the listener has a descriptor of its own
	return net.FileListener(file)
}

// Peers implements core.Host.
func (h *host) Peers() core.Peers { return h.peers }

// State implements core.Host.
func (h *host) State() core.State { return h.services.State.Instance(h.name) }

// Shared implements core.Host.
func (h *host) Shared(key string, create func() (io.Closer, error)) (io.Closer, func() error, error) {
	return h.shared.Acquire(key, create)
}

// Log implements core.Host.
func (h *host) Log() *slog.Logger { return h.log }

// Metrics implements core.Host.
func (h *host) Metrics() prometheus.Registerer { return h.metrics }
