package router

import "github.com/prometheus/client_golang/prometheus"

// sessionsDesc and highWaterDesc describe what is counted at the moment of
// asking.
var (
	sessionsDesc = prometheus.NewDesc("wamp_sessions", "Sessions that have joined.",
		[]string{"realm", "role", "serializer"}, nil)
	highWaterDesc = prometheus.NewDesc("wamp_queue_high_water",
		"Most messages that waited for one client since this was last asked.", []string{"realm"}, nil)
)

// Describe implements prometheus.Collector.
func (r *Router) Describe(descs chan<- *prometheus.Desc) {
	descs <- sessionsDesc
	descs <- highWaterDesc
}

// Collect implements prometheus.Collector.
func (r *Router) Collect(metrics chan<- prometheus.Metric) {
	type labels struct{ realm, role, serializer string }
	sessions, high := make(map[labels]int), make(map[string]int)
	for _, c := range r.current() {
		g, p := c.grant.Load(), c.peer.Load()
		if g == nil || p == nil {
			continue
		}
		sessions[labels{g.realm, g.role, c.codec.Name()}]++
		high[g.realm] = max(high[g.realm], p.HighWater())
	}
	for l, n := range sessions {
		metrics <- prometheus.MustNewConstMetric(sessionsDesc, prometheus.GaugeValue, float64(n), l.realm, l.role, l.serializer)
	}
	for realm := range r.realms {
		metrics <- prometheus.MustNewConstMetric(highWaterDesc, prometheus.GaugeValue, float64(high[realm]), realm)
	}
}
