package coretest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/state"
)

// Host is a core.Host for unit tests: it keeps what is published and answers as
// the test says. Its fields are set before the adapter is opened.
type Host struct {
	// OnPublish, if set, answers publications, at the same time from many
	// goroutines; else all are accepted without receipts.
	OnPublish func(ctx context.Context, p core.Publication) ([]core.Receipt, error)
	// OnCall, if set, answers calls; else no sink answers.
	OnCall func(ctx context.Context, call core.Call) ([]core.Answer, error)

	t       testing.TB
	state   *state.Store
	shared  *core.SharedObjects
	metrics *prometheus.Registry

	ids atomic.Uint64

	mu        sync.Mutex
	published []core.Publication
	arrived   chan struct{} // closed and replaced with each publication
}

// NewHost returns a host that logs to the test.
func NewHost(t testing.TB) *Host {
	return &Host{
		t: t, state: state.New(), shared: core.NewSharedObjects(), metrics: prometheus.NewRegistry(),
		arrived: make(chan struct{}),
	}
}

// Publish implements core.Host. An event that the bus would refuse as malformed
// is refused here too. Events have ids where the publication asks for them.
func (h *Host) Publish(ctx context.Context, p core.Publication) ([]core.Receipt, error) {
	for i := range p.Events {
		if _, err := frame.Encode(&p.Events[i]); err != nil {
			return nil, err
		}
	}
	var receipts []core.Receipt
	if p.EventIDs {
		p.Events = slices.Clone(p.Events)
		for i := range p.Events {
			p.Events[i].ID = h.nextID()
			receipts = append(receipts, core.Receipt{Event: i, EventID: p.Events[i].ID, Receivers: core.ReceiversUnknown})
		}
	}
	h.keep(p)
	if h.OnPublish == nil {
		return receipts, nil
	}
	more, err := h.OnPublish(ctx, p)
	return append(receipts, more...), err
}

// nextID returns an id of the bus's form, greater than all before.
func (h *Host) nextID() string {
	return fmt.Sprintf("019a4c2e-0000-7000-8000-%012x", h.ids.Add(1))
}

func (h *Host) keep(p core.Publication) {
	events := make([]core.Event, len(p.Events))
	for i, e := range p.Events {
		events[i] = e.Clone()
	}
	p.Events = events
	h.mu.Lock()
	defer h.mu.Unlock()
	h.published = append(h.published, p)
	close(h.arrived)
	h.arrived = make(chan struct{})
}

// Published returns what was published so far.
func (h *Host) Published() []core.Publication {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]core.Publication(nil), h.published...)
}

// WaitPublished returns the publications once there are at least n; it fails the
// test when ctx ends first.
func (h *Host) WaitPublished(ctx context.Context, n int) []core.Publication {
	h.t.Helper()
	for {
		h.mu.Lock()
		published, arrived := append([]core.Publication(nil), h.published...), h.arrived
		h.mu.Unlock()
		if len(published) >= n {
			return published
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			h.t.Fatalf("%d publications arrived, want %d: %v", len(published), n, ctx.Err())
		}
	}
}

// Call implements core.Host.
func (h *Host) Call(ctx context.Context, call core.Call) ([]core.Answer, error) {
	if h.OnCall != nil {
		return h.OnCall(ctx, call)
	}
	return nil, nil
}

// Listen implements core.Host.
func (h *Host) Listen(ctx context.Context, address string) (net.Listener, error) {
	return core.ListenLocal(ctx, address)
}

// Peers implements core.Host: there are none.
func (h *Host) Peers() core.Peers { return noPeers{} }

type noPeers struct{}

func (noPeers) List() []string { return nil }

func (noPeers) Broadcast(context.Context, []byte) error { return nil }

// State implements core.Host, for an instance named "test".
func (h *Host) State() core.State { return h.state.Instance("test") }

// Shared implements core.Host.
func (h *Host) Shared(key string, create func() (io.Closer, error)) (io.Closer, func() error, error) {
	return h.shared.Acquire(key, create)
}

// Log implements core.Host.
func (h *Host) Log() *slog.Logger { return Logger(h.t) }

// Metrics implements core.Host.
func (h *Host) Metrics() prometheus.Registerer { return h.metrics }

// Gather returns the metrics that the adapter registered.
func (h *Host) Gather() prometheus.Gatherer { return h.metrics }

// Logger returns a logger that writes to the test.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
