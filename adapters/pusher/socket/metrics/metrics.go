// Package metrics is what the socket adapter counts. Labels are names from the
// configuration or from a fixed list, never what a client invents.
package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are the counters of one instance. They may be used from any goroutine.
type Metrics struct {
	Connections   *prometheus.GaugeVec   // open connections: app
	Subscriptions *prometheus.GaugeVec   // subscriptions of open connections: app
	Opened        *prometheus.CounterVec // connections that were established: app
	Refused       *prometheus.CounterVec // connections that were refused: code
	Evicted       *prometheus.CounterVec // connections whose client was too slow: app
	Received      *prometheus.CounterVec // messages from clients: app
	Sent          *prometheus.CounterVec // frames handed over for clients: app
	Errors        *prometheus.CounterVec // what clients asked for and did not get: app, reason
	Delivered     *prometheus.CounterVec // events from the bus: app, result
	Emitted       *prometheus.CounterVec // events for the bus: kind, result
}

// New registers the metrics.
func New(registry prometheus.Registerer) (*Metrics, error) {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		Connections:   gauges("pusher_socket_connections", "Open connections.", "app"),
		Subscriptions: gauges("pusher_socket_subscriptions", "Subscriptions of open connections.", "app"),
		Opened:        counters("pusher_socket_opened_total", "Connections that were established.", "app"),
		Refused:       counters("pusher_socket_refused_total", "Connections that were refused, by close code.", "code"),
		Evicted:       counters("pusher_socket_evicted_total", "Connections closed because the client reads too slowly.", "app"),
		Received:      counters("pusher_socket_received_total", "Messages from clients.", "app"),
		Sent:          counters("pusher_socket_sent_total", "Frames handed over for clients.", "app"),
		Errors:        counters("pusher_socket_errors_total", "Requests of clients that were refused, by reason.", "app", "reason"),
		Delivered:     counters("pusher_socket_events_total", "Events from the bus, by result.", "app", "result"),
		Emitted:       counters("pusher_socket_emitted_total", "Client events and happenings for the bus, by result.", "kind", "result"),
	}
	for _, c := range []prometheus.Collector{
		m.Connections, m.Subscriptions, m.Opened, m.Refused, m.Evicted, m.Received, m.Sent, m.Errors, m.Delivered, m.Emitted,
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// App are the metrics of one app.
type App struct {
	Connections, Subscriptions      prometheus.Gauge
	Opened, Evicted, Received, Sent prometheus.Counter
	Accepted, Refused               prometheus.Counter // events from the bus
	errors                          *prometheus.CounterVec
}

// For returns the metrics of an app.
func (m *Metrics) For(app string) *App {
	return &App{
		Connections: m.Connections.WithLabelValues(app), Subscriptions: m.Subscriptions.WithLabelValues(app),
		Opened: m.Opened.WithLabelValues(app), Evicted: m.Evicted.WithLabelValues(app),
		Received: m.Received.WithLabelValues(app), Sent: m.Sent.WithLabelValues(app),
		Accepted: m.Delivered.WithLabelValues(app, "accepted"), Refused: m.Delivered.WithLabelValues(app, "refused"),
		errors: m.Errors.MustCurryWith(prometheus.Labels{"app": app}),
	}
}

// Error counts a request that was refused. reason is from a fixed list.
func (a *App) Error(reason string) { a.errors.WithLabelValues(reason).Inc() }
