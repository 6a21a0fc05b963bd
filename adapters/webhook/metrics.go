package webhook

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what an instance counts.
type metrics struct {
	requests *prometheus.CounterVec
	events   *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_webhook_requests_total",
			Help: "Requests, by app and class of the answer's status; none: there was no answer.",
		}, []string{"app", "status"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_webhook_events_total",
			Help: "Attempts at events, by app and result: sent, failed, refused (it cannot be sent), filtered (it is not wanted).",
		}, []string{"app", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bridge_webhook_request_seconds",
			Help:    "Time of a request, to its answer or failure.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s; the timeout is 10 s unless it is set
		}, []string{"app"}),
	}
	for _, collector := range []prometheus.Collector{m.requests, m.events, m.seconds} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
