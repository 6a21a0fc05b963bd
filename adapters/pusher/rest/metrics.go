package rest

import (
	"fmt"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pushbridge/bridge/adapters/pusher/app"
)

// metrics are what an instance counts. The label app is the id of a configured
// app, or empty.
type metrics struct {
	requests  *prometheus.CounterVec
	refused   *prometheus.CounterVec
	events    *prometheus.CounterVec
	repeats   prometheus.Counter
	forgotten prometheus.Counter
	latency   prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_pusher_rest_requests_total", Help: "Requests, by operation and status of the answer.",
		}, []string{"app", "operation", "status"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_pusher_rest_refused_total", Help: "Requests that were not done, by reason.",
		}, []string{"app", "reason"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_pusher_rest_events_total", Help: "Events published, one for each channel.",
		}, []string{"app"}),
		repeats: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_pusher_rest_repeats_total", Help: "Events with an idempotency_key that got their first answer again.",
		}),
		forgotten: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_pusher_rest_answers_forgotten_total", Help: "Remembered answers that made room for newer ones before their time.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_pusher_rest_publish_seconds", Help: "Time from a publication to its acknowledgement or failure.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s
		}),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.refused, m.events, m.repeats, m.forgotten, m.latency} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// request counts a request that was answered.
func (m *metrics) request(x *exchange, status int, f *fault) {
	id := ""
	if x.app != nil {
		id = string(x.app.ID)
	}
	m.requests.WithLabelValues(id, x.route.operation.String(), strconv.Itoa(status)).Inc()
	if f != nil {
		m.refused.WithLabelValues(id, f.reason).Inc()
	}
}

// published counts events.
func (m *metrics) published(a *app.App, events int) {
	m.events.WithLabelValues(string(a.ID)).Add(float64(events))
}
