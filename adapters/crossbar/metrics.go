package crossbar

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// The limits by which requests are counted as rejected.
const (
	limitKey      = "key"
	limitAddress  = "address"
	limitFailures = "failed_signatures"
	limitInFlight = "in_flight"
)

// metrics are what an instance counts.
type metrics struct {
	requests   *prometheus.CounterVec
	limited    *prometheus.CounterVec
	replayFull prometheus.Counter
	latency    prometheus.Histogram
}

// newMetrics makes the metrics and registers them; they carry the endpoint's path.
func newMetrics(registry prometheus.Registerer, path string, replaySize func() int) (*metrics, error) {
	endpoint := prometheus.Labels{"endpoint": path}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_crossbar_requests_total", ConstLabels: endpoint,
			Help: "Requests, by the code of their outcome and the status of the answer.",
		}, []string{"code", "status"}),
		limited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bridge_crossbar_limited_total", ConstLabels: endpoint,
			Help: "Requests that were refused because of a limit.",
		}, []string{"limit"}),
		replayFull: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bridge_crossbar_replay_full_total", ConstLabels: endpoint,
			Help: "Signed requests that were refused because the replay cache was full.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bridge_crossbar_publish_seconds", ConstLabels: endpoint,
			Help:    "Time from the publication to its acknowledgement or failure.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s; beyond lies the timeout
		}),
	}
	replayEntries := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bridge_crossbar_replay_entries", ConstLabels: endpoint,
		Help: "Signed requests that the replay cache remembers.",
	}, func() float64 { return float64(replaySize()) })
	for _, collector := range []prometheus.Collector{m.requests, m.limited, m.replayFull, m.latency, replayEntries} {
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
