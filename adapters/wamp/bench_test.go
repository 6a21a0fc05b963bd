package wamp_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// quietHost is a host whose log goes nowhere.
type quietHost struct{ *coretest.Host }

func (quietHost) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// BenchmarkDeliver measures an event from Deliver to its receipt, without
// subscribers: alone, and in batches as the bus hands them over.
func BenchmarkDeliver(b *testing.B) {
	config := strings.ReplaceAll(routerConfig(""), "LISTEN", freeAddress(b))
	opened, err := wamp.Adapter{}.Open(context.Background(), "bench", json.RawMessage(config), quietHost{coretest.NewHost(b)})
	if err != nil {
		b.Fatal(err)
	}
	defer opened.Stop(context.Background())
	event := core.Event{
		Topic: "com.example.topic", Type: core.TypeJSON,
		Data: []byte(`{"id":12345,"text":"` + strings.Repeat("x", 200) + `","tags":["a","b"]}`),
	}
	for name, size := range map[string]int{"alone": 1, "batch": 256} {
		b.Run(name, func(b *testing.B) {
			events := make([]core.Event, size)
			for i := range events {
				events[i] = event
			}
			b.ReportAllocs()
			for b.Loop() {
				var open sync.WaitGroup
				open.Add(size)
				batch := core.NewBatch(events, func(_, count int, receipt core.Receipt) {
					if receipt.Err != nil {
						b.Error(receipt.Err)
					}
					open.Add(-count)
				})
				if err := opened.(core.Sink).Deliver(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				open.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(size), "ns/event")
		})
	}
}
