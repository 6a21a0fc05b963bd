// Package metrics is what the WAMP adapter counts. Labels are names from the
// configuration or from a fixed list, never what a client invents.
package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the counters of one instance. They may be used from any
// goroutine.
type Metrics struct {
	Joins        *prometheus.CounterVec   // sessions that joined: realm, serializer
	Aborts       *prometheus.CounterVec   // sessions that did not join: reason
	Publishes    *prometheus.CounterVec   // publications of the bridge: realm, result
	Latency      *prometheus.HistogramVec // seconds from publication to answer: realm
	Deliveries   *prometheus.CounterVec   // events queued for clients: realm
	Drops        *prometheus.CounterVec   // events that found no room: realm
	Evictions    *prometheus.CounterVec   // sessions ended because they read too slowly: realm
	AuthFailures *prometheus.CounterVec   // realm, method
	Denials      *prometheus.CounterVec   // realm, action
	Emitted      *prometheus.CounterVec   // events of WAMP clients handed to the bus: realm, result
	Connected    prometheus.Gauge         // 1 while joined (client mode)
	Reconnects   *prometheus.CounterVec   // attempts to join (client mode): result
	Expired      prometheus.Counter       // publications that waited too long for the router (client mode)
}

// New registers the metrics.
func New(registry prometheus.Registerer) (*Metrics, error) {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		Joins:      counters("wamp_joins_total", "Sessions that joined a realm.", "realm", "serializer"),
		Aborts:     counters("wamp_aborts_total", "Sessions that were refused, by reason.", "reason"),
		Publishes:  counters("wamp_publishes_total", "Publications of the bridge, by result.", "realm", "result"),
		Deliveries: counters("wamp_deliveries_total", "Events queued for clients.", "realm"),
		Drops:      counters("wamp_drops_total", "Events dropped because a client reads too slowly.", "realm"),
		Evictions:  counters("wamp_evictions_total", "Sessions ended because the client reads too slowly.", "realm"),
		AuthFailures: counters("wamp_authentication_failures_total",
			"Logins that failed.", "realm", "method"),
		Denials:    counters("wamp_denials_total", "Requests that a role may not make.", "realm", "action"),
		Emitted:    counters("wamp_emitted_total", "Events of WAMP clients handed to the bus.", "realm", "result"),
		Reconnects: counters("wamp_client_attempts_total", "Attempts to join the outside router.", "result"),
		Latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wamp_publish_seconds", Help: "Time from a publication to the router's answer.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}, []string{"realm"}),
		Connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "wamp_client_joined", Help: "1 while the session with the outside router stands.",
		}),
		Expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wamp_client_expired_total", Help: "Publications that waited too long for the outside router.",
		}),
	}
	for _, c := range []prometheus.Collector{
		m.Joins, m.Aborts, m.Publishes, m.Latency, m.Deliveries, m.Drops, m.Evictions, m.AuthFailures,
		m.Denials, m.Emitted, m.Connected, m.Reconnects, m.Expired,
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
