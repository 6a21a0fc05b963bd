package admin

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pushbridge/bridge/core/route"
)

// newGatherer gathers the bridge's own metrics: of its process, and of its routes
// as the model has them at that moment.
func newGatherer(bridge Bridge, model Model) prometheus.Gatherer {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "bridge_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": bridge.Version},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(build, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{model})
	return registry
}

// collector makes metrics of the routes' states.
type collector struct{ model Model }

// desc is a metric of routes, with the labels that it has besides.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("bridge_"+name, help, append([]string{"route"}, labels...), nil)
}

// Describe implements prometheus.Collector: what there is depends on the routes.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	seen := make(map[string]bool)
	for _, s := range c.model.Status() {
		if seen[s.Route] {
			continue // a second file of that name, which is refused
		}
		seen[s.Route] = true
		collectRoute(to, s)
		collectInstances(to, s)
		collectEdges(to, s)
	}
}

func gauge(to chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	to <- sample(d, prometheus.GaugeValue, value, labels)
}

func counter(to chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	to <- sample(d, prometheus.CounterValue, value, labels)
}

// sample is for labels of any bytes: a route's name is a file's.
func sample(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels []string) prometheus.Metric {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
	}
	return prometheus.MustNewConstMetric(d, kind, value, labels...)
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}

func collectRoute(to chan<- prometheus.Metric, s route.Status) {
	gauge(to, desc("route_ready", "1 if the route does its work."), flag(serves(s.State)), s.Route)
	gauge(to, desc("route_state", "Always 1; the label says in which state the route is.", "state"), 1, s.Route, string(s.State))
	gauge(to, desc("route_generation", "Changes of the route's file that took effect."), float64(s.Generation), s.Route)
	gauge(to, desc("route_draining_processes", "Processes of earlier generations that are still at work."), float64(s.Draining), s.Route)
	if s.Reload != nil {
		gauge(to, desc("route_reload_success", "1 if the last change of the route's file took effect, 0 if it was refused."), flag(s.Reload.OK), s.Route)
		gauge(to, desc("route_reload_time_seconds", "When the route's file changed last, in seconds since 1970."),
			float64(s.Reload.Time.UnixMilli())/1000, s.Route)
	}
}

func collectInstances(to chan<- prometheus.Metric, s route.Status) {
	seen := make(map[string]bool)
	for _, i := range s.Instances {
		if seen[i.Name] {
			continue
		}
		seen[i.Name] = true
		gauge(to, desc("instance_ready", "1 if the instance does its work.", "instance", "adapter"), flag(serves(i.State)), s.Route, i.Name, i.Adapter)
		counter(to, desc("instance_restarts_total", "Restarts of the instance's process after it failed.", "instance"), float64(i.Restarts), s.Route, i.Name)
		if i.Listeners != nil {
			gauge(to, desc("instance_listeners", "Listeners that the instance has now.", "instance"), float64(*i.Listeners), s.Route, i.Name)
		}
	}
}

func collectEdges(to chan<- prometheus.Metric, s route.Status) {
	// Edges of one route to one target count together.
	targets := make(map[string]route.EdgeStatus)
	for _, e := range s.Edges {
		sum := targets[e.Target]
		sum.Waiting += e.Waiting
		sum.Queued += e.Queued
		sum.Delivered += e.Delivered
		sum.Refused += e.Refused
		sum.Dropped += e.Dropped
		targets[e.Target] = sum
	}
	for target, e := range targets {
		gauge(to, desc("edge_waiting", "Events that wait in the queue.", "target"), float64(e.Waiting), s.Route, target)
		counter(to, desc("edge_queued_total", "Events that were taken into the queue.", "target"), float64(e.Queued), s.Route, target)
		counter(to, desc("edge_delivered_total", "Events that the sink has accepted.", "target"), float64(e.Delivered), s.Route, target)
		counter(to, desc("edge_refused_total", "Events that were refused, by the queue or by the sink.", "target"), float64(e.Refused), s.Route, target)
		counter(to, desc("edge_retried_total", "Deliveries that were repeated because the sink refused for now.", "target"), float64(e.Retried), s.Route, target)
		counter(to, desc("edge_given_up_total", "Events that were tried again to no avail; they count as refused too.", "target"), float64(e.GivenUp), s.Route, target)
		counter(to, desc("edge_dropped_total", "Events that were dropped to make room; they count as refused too.", "target"), float64(e.Dropped), s.Route, target)
	}
}
