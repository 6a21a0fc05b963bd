package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/wire"
	"github.com/pushbridge/bridge/core/wire/process"
)

// The test binary is also the plugin: started with this variable it serves
// instead of testing.
const envRole = "BRIDGE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "serve":
		wire.Serve(tickAdapter{}, takeAdapter{})
	}
}

// tickAdapter is a source that publishes as many events as its config says.
type tickAdapter struct{}

func (tickAdapter) Describe() core.Info                      { return core.Info{Name: "tick", Source: true} }
func (tickAdapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }
func (tickAdapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	t := &tick{host: host}
	return t, json.Unmarshal(config, &t.config)
}

type tick struct {
	host   core.Host
	config struct {
		Events, Bytes int
		Ack           core.Ack
	}
	work sync.WaitGroup
}

func (t *tick) Start(context.Context) error {
	t.work.Go(func() {
		topics := []string{"com.a", "com.b", "com.c"}
		data := make([]byte, t.config.Bytes)
		for i := range t.config.Events {
			_, err := t.host.Publish(context.Background(), core.Publication{
				Ack:    t.config.Ack,
				Events: []core.Event{{Topic: topics[i%3], Data: data}},
			})
			if err != nil {
				t.host.Log().Error("publish", "error", err)
				return
			}
		}
	})
	return nil
}

func (t *tick) Stop(context.Context) error { t.work.Wait(); return nil }

// takeAdapter is a sink that accepts everything and, at stop, logs how much.
type takeAdapter struct{}

func (takeAdapter) Describe() core.Info                      { return core.Info{Name: "take", Sink: true} }
func (takeAdapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }
func (takeAdapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	return &take{host: host}, nil
}

type take struct {
	host core.Host
	n, k int
}

func (t *take) Start(context.Context) error { return nil }
func (t *take) Stop(context.Context) error {
	t.host.Log().Info("took", "events", t.n, "batches", t.k)
	return nil
}
func (t *take) Deliver(_ context.Context, b core.Batch) error {
	t.n += len(b.Events)
	t.k++
	b.AnswerAll(core.Accepted())
	return nil
}

func start(t testing.TB, b *bus.Bus) *process.Process {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(context.Background(), process.Options{
		Name: "test", Path: self, RuntimeDir: t.TempDir(),
		Env: []string{envRole + "=serve"}, Bus: b, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

func TestFlow(t *testing.T) {
	b := bus.New()
	source, sink := start(t, b), start(t, b)
	ctx := context.Background()
	n := 2_000_000
	take, err := sink.Open(ctx, core.Info{Name: "take", Sink: true}, "take", nil)
	if err != nil {
		t.Fatal(err)
	}
	tick, err := source.Open(ctx, core.Info{Name: "tick", Source: true}, "tick", []byte(fmt.Sprintf(`{"Events":%d,"Bytes":256,"Ack":1}`, n)))
	if err != nil {
		t.Fatal(err)
	}
	b.Target("take").Run(take.Info(), take)
	edge := bus.NewEdge(b.Target("take"), bus.EdgeOptions{Overflow: bus.OverflowBlock})
	b.SetTable(bus.NewTable([]bus.Route{{Name: "r", Sources: []string{"tick"}, Ack: core.AckSent, Edges: []*bus.Edge{edge}}}))
	begin := time.Now()
	for _, i := range []*process.Instance{take, tick} {
		if err := i.Start(ctx); err != nil {
			t.Fatal(err)
		}
	}
	tick.Stop(ctx)
	edge.Close(ctx)
	take.Stop(ctx)
	d := time.Since(begin)
	source.Kill()
	sink.Kill()
	t.Log("cpu/ev", cpu()/time.Duration(n))
	t.Log(edge.Counts().Delivered.Load(), d, float64(n)/d.Seconds())
}

func cpu() time.Duration {
	var total time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		_ = syscall.Getrusage(who, &u)
		total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return total
}

func TestChannel(t *testing.T) {
	n := 5_000_000
	a, b := make(chan core.Event, 4096), make(chan core.Event, 4096)
	var w sync.WaitGroup
	begin, c0 := time.Now(), cpu()
	data := make([]byte, 256)
	w.Go(func() {
		for range n {
			a <- core.Event{Topic: "com.a", Data: data}
		}
		close(a)
	})
	w.Go(func() {
		for e := range a {
			b <- e
		}
		close(b)
	})
	k := 0
	w.Go(func() {
		for range b {
			k++
		}
	})
	w.Wait()
	d := time.Since(begin)
	t.Log("channel cpu/ev", (cpu()-c0)/time.Duration(n), k, float64(n)/d.Seconds())
}
