package router_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/prometheus/client_golang/prometheus"

	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
)

func slogDiscard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// metric is the sum of a metric over its labels.
func metric(t *testing.T, gatherer prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// waitMetric waits until a metric has reached a value.
func waitMetric(t *testing.T, r *running, name string, want float64) {
	t.Helper()
	for deadline := time.Now().Add(Patience); metric(t, r.registry, name) < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is %v, want %v", name, metric(t, r.registry, name), want)
		}
	}
}

func TestMetrics(t *testing.T) {
	r := start(t, func(o *router.Options) {
		denied := permission.Rule{URI: "denied", Match: permission.Exact}
		o.Realms[0].Policy.Roles["anonymous"] = permission.NewSet([]permission.Rule{allRule(""), denied})
	})
	raw := Join(t, r.url, "json", "realm1")
	raw.Subscribe("t", "exact")
	other := Join(t, r.url, "cbor", "realm1")
	for n := range 3 {
		other.Send(&wamp.Publish{Request: wamp.ID(n + 1), Topic: "t"})
		Receive[*wamp.Event](raw)
	}
	other.Send(&wamp.Publish{Request: 9, Topic: "denied"})
	refused := Dial(t, r.url, "json", nil)
	refused.Send(Hello("invented"+string(make([]byte, 10)), nil))
	refused.Ended()
	for name, want := range map[string]float64{
		"wamp_sessions": 2, "wamp_joins_total": 2, "wamp_deliveries_total": 3, "wamp_aborts_total": 1, "wamp_denials_total": 1,
	} {
		waitMetric(t, r, name, want)
	}
	other.Close()
	for metric(t, r.registry, "wamp_sessions") != 1 {
		time.Sleep(time.Millisecond)
	}
}
