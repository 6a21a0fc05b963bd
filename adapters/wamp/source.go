package wamp

import (
	"context"
	"sync"
	"sync/atomic"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/payload"
)

// source hands what WAMP clients do to the bus. Sessions put events into it
// without waiting, because while they wait they read no answers; one goroutine
// publishes them in order.
type source struct {
	host    core.Host
	metrics *metrics.Metrics

	events  chan core.Event
	bytes   atomic.Int64 // in events
	stop    context.CancelFunc
	running sync.WaitGroup
}

// What may wait for the bus: as many events as it takes at once, and the bytes
// of the largest.
const (
	sourceEvents = 4096
	sourceBytes  = core.MaxEventBytes
)

func newSource(host core.Host, counts *metrics.Metrics) *source {
	s := &source{host: host, metrics: counts, events: make(chan core.Event, sourceEvents)}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.running.Go(func() { s.run(ctx) })
	return s
}

// close drops what is still waiting and returns when nothing runs any more.
func (s *source) close() {
	s.stop()
	s.running.Wait()
}

func (s *source) run(ctx context.Context) {
	for {
		select {
		case event := <-s.events:
			s.bytes.Add(-int64(len(event.Data)))
			s.publish(ctx, event)
		case <-ctx.Done():
			return
		}
	}
}

// publish hands one event to the bus. Nobody waits for its receipts; the routes
// decide how much it takes to have it.
func (s *source) publish(ctx context.Context, event core.Event) {
	_, err := s.host.Publish(ctx, core.Publication{Events: []core.Event{event}, Ack: core.AckSent})
	if err != nil {
		s.host.Log().Debug("the bus did not take an event", "topic", event.Topic, "error", err)
		s.count(event, "refused")
		return
	}
	s.count(event, "published")
}

func (s *source) count(event core.Event, result string) {
	s.metrics.Emitted.WithLabelValues(event.Space, result).Inc()
}

// put queues an event, or drops it if too much is waiting.
func (s *source) put(event core.Event) {
	if s.bytes.Add(int64(len(event.Data))) <= sourceBytes {
		select {
		case s.events <- event:
			return
		default:
		}
	}
	s.bytes.Add(-int64(len(event.Data)))
	s.host.Log().Warn("events of WAMP clients come faster than the bus takes them; one was dropped", "topic", event.Topic)
	s.count(event, "dropped")
}

// message is the handler of a subscription: what was published at a topic.
func (s *source) message(realm, topic string) func(*nexus.Event) {
	return func(m *nexus.Event) {
		router.Unwrap(m)
		event := core.Event{Kind: core.KindMessage, Space: realm, Topic: topic, Type: core.TypeWAMP}
		if uri, byPattern := nexus.AsURI(m.Details["topic"]); byPattern {
			event.Topic = string(uri)
		}
		data, err := payload.FromWAMP(m.Arguments, m.ArgumentsKw)
		if err != nil {
			s.host.Log().Debug("an event of a WAMP client cannot be expressed as JSON", "topic", event.Topic, "error", err)
			s.count(event, "refused")
			return
		}
		event.Data = data
		s.put(event)
	}
}
