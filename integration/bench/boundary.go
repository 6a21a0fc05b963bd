//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/wire"
	"github.com/pushbridge/bridge/core/wire/process"
)

const rolePlugin = "plugin"

func servePlugin() error {
	wire.Serve(floodAdapter{}, countAdapter{})
	return nil
}

// boundary measures a flood of events of a size through two boundaries, and the
// same events through a channel, in turns.
func boundary(size int) func(context.Context, options) error {
	return func(ctx context.Context, o options) error {
		var rates, costs, channelRates, channelCosts, ratios []float64
		for range o.runs {
			channel := runChannel(o.duration/2, size)
			through, err := runBoundary(ctx, o.duration, floodConfig{Bytes: size})
			if err != nil {
				return err
			}
			rates, costs = append(rates, through.rate), append(costs, through.cost)
			channelRates, channelCosts = append(channelRates, channel.rate), append(channelCosts, channel.cost)
			ratios = append(ratios, through.cost/channel.cost)
		}
		fmt.Printf("  boundaries  %9.0f events/s  %5.2f µs CPU an event over all processes\n", median(rates), median(costs))
		fmt.Printf("  channel     %9.0f events/s  %5.2f µs CPU an event\n", median(channelRates), median(channelCosts))
		fmt.Printf("  CPU ratio   %.2f (each run: %.2f)\n", median(ratios), ratios)
		return nil
	}
}

// measureLatency measures the way of single events.
func measureLatency(ctx context.Context, o options) error {
	var p50, p99 []time.Duration
	for range o.runs {
		r, err := runBoundary(ctx, o.duration, floodConfig{Bytes: 256, Rate: 1000})
		if err != nil {
			return err
		}
		p50, p99 = append(p50, r.p50), append(p99, r.p99)
	}
	fmt.Printf("  p50 %v, p99 %v from publish in one plugin to the sink in the other\n", median(p50), median(p99))
	return nil
}

// boundaryResult is one run.
type boundaryResult struct {
	rate     float64 // events per second
	cost     float64 // µs of CPU per event, over all processes
	p50, p99 time.Duration
}

// runChannel moves events from one goroutine to another through a channel.
func runChannel(duration time.Duration, size int) boundaryResult {
	events := make(chan core.Event, 4096)
	data := bytes.Repeat([]byte("x"), size)
	stop := time.Now().Add(duration)
	before, err := cpuOf(os.Getpid())
	if err != nil {
		return boundaryResult{}
	}
	begin, received := time.Now(), 0
	go func() {
		defer close(events)
		for time.Now().Before(stop) {
			for range 1000 {
				events <- core.Event{Topic: "com.myapp.topic1", Type: core.TypeJSON, Data: data}
			}
		}
	}()
	for range events {
		received++
	}
	took := time.Since(begin)
	after, err := cpuOf(os.Getpid())
	if err != nil {
		return boundaryResult{}
	}
	return boundaryResult{
		rate: float64(received) / took.Seconds(),
		cost: float64((after - before).Microseconds()) / float64(received),
	}
}

// runBoundary lets one plugin flood another through the bus of this process.
func runBoundary(ctx context.Context, duration time.Duration, config floodConfig) (boundaryResult, error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return boundaryResult{}, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return boundaryResult{}, err
	}
	b := bus.New()
	start := func(name string) (*process.Process, error) {
		return process.Start(ctx, process.Options{
			Name: name, Path: self, RuntimeDir: dir, Bus: b,
			Env: []string{envRole + "=" + rolePlugin}, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
		})
	}
	sinks, err := start("sink")
	if err != nil {
		return boundaryResult{}, err
	}
	defer sinks.Kill()
	sources, err := start("source")
	if err != nil {
		return boundaryResult{}, err
	}
	defer sources.Kill()
	sink, err := sinks.Open(ctx, countAdapter{}.Describe(), "sink", []byte(`{}`))
	if err != nil {
		return boundaryResult{}, err
	}
	config.Duration = duration
	encoded, err := json.Marshal(config)
	if err != nil {
		return boundaryResult{}, err
	}
	source, err := sources.Open(ctx, floodAdapter{}.Describe(), "source", encoded)
	if err != nil {
		return boundaryResult{}, err
	}
	b.Target("sink").Run(sink.Info(), sink)
	edge := bus.NewEdge(b.Target("sink"), bus.EdgeOptions{Route: "bench", Overflow: bus.OverflowBlock})
	b.SetTable(bus.NewTable([]bus.Route{{Name: "bench", Sources: []string{"source"}, Ack: core.AckSent, Edges: []*bus.Edge{edge}}}))
	pids := []int{os.Getpid(), sinks.Pid(), sources.Pid()}
	before, err := cpuOf(pids...)
	if err != nil {
		return boundaryResult{}, err
	}
	begin := time.Now()
	for _, i := range []*process.Instance{sink, source} {
		if err := i.Start(ctx); err != nil {
			return boundaryResult{}, err
		}
	}
	// The flood ends by itself; Stop waits for it and for what is on its way.
	if err := source.Stop(ctx); err != nil {
		return boundaryResult{}, err
	}
	edge.Close(ctx)
	took := time.Since(begin)
	after, err := cpuOf(pids...)
	if err != nil {
		return boundaryResult{}, err
	}
	return countResult(ctx, sink, edge, took, after-before)
}

// countResult asks the sink what it has seen and holds it against the edge.
func countResult(ctx context.Context, sink *process.Instance, edge *bus.Edge, took, cpu time.Duration) (boundaryResult, error) {
	answer := sink.Answer(ctx, core.Call{Op: opCount})
	if answer.Err != nil {
		return boundaryResult{}, answer.Err
	}
	var seen counted
	if err := answer.Decode(&seen); err != nil {
		return boundaryResult{}, err
	}
	if queued := edge.Counts().Queued.Load(); queued != uint64(seen.Events) || seen.Disordered > 0 {
		return boundaryResult{}, fmt.Errorf("%d events were sent, %d arrived, %d out of order", queued, seen.Events, seen.Disordered)
	}
	return boundaryResult{
		rate: float64(seen.Events) / took.Seconds(),
		cost: float64(cpu.Microseconds()) / float64(seen.Events),
		p50:  seen.P50, p99: seen.P99,
	}, nil
}

// floodAdapter publishes as fast as it may, or at a rate.
type floodAdapter struct{}

type floodConfig struct {
	Bytes    int
	Rate     int // per second; 0: as many as possible
	Duration time.Duration
}

func (floodAdapter) Describe() core.Info { return core.Info{Name: "flood", Source: true} }

func (floodAdapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }

func (floodAdapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	f := &flood{host: host}
	return f, json.Unmarshal(config, &f.config)
}

type flood struct {
	host   core.Host
	config floodConfig
	work   sync.WaitGroup
}

func (f *flood) Start(context.Context) error {
	f.work.Go(f.run)
	return nil
}

func (f *flood) Stop(context.Context) error { f.work.Wait(); return nil }

// run numbers the events and writes into each when it was published.
func (f *flood) run() {
	data := bytes.Repeat([]byte("x"), f.config.Bytes)
	events := []core.Event{{Topic: "com.myapp.topic1", Space: "realm1", Type: core.TypeJSON, Data: data}}
	begin := time.Now()
	for n := 0; ; n++ {
		now := time.Now()
		if now.Sub(begin) > f.config.Duration {
			return
		}
		if f.config.Rate > 0 {
			due := begin.Add(time.Duration(n) * time.Second / time.Duration(f.config.Rate))
			time.Sleep(time.Until(due))
			now = time.Now()
		}
		binary.LittleEndian.PutUint64(data, uint64(n))
		binary.LittleEndian.PutUint64(data[8:], uint64(now.UnixNano()))
		if _, err := f.host.Publish(context.Background(), core.Publication{Events: events}); err != nil {
			f.host.Log().Error("publish", "error", err)
			return
		}
	}
}

// opCount asks the counting sink what it has seen.
const opCount = "bench.count"

// counted is its answer.
type counted struct {
	Events, Disordered int
	P50, P99           time.Duration
}

// countAdapter counts events and their latency.
type countAdapter struct{}

func (countAdapter) Describe() core.Info {
	return core.Info{Name: "count", Sink: true, Calls: []string{opCount}}
}

func (countAdapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }

func (countAdapter) Open(context.Context, string, json.RawMessage, core.Host) (core.Instance, error) {
	return &count{}, nil
}

type count struct {
	mu         sync.Mutex
	events     int
	disordered int
	latencies  []time.Duration
}

func (*count) Start(context.Context) error { return nil }

func (*count) Stop(context.Context) error { return nil }

// keepLatencies bounds what a flood leaves behind.
const keepLatencies = 1 << 20

func (c *count) Deliver(_ context.Context, batch core.Batch) error {
	now := time.Now().UnixNano()
	c.mu.Lock()
	for _, e := range batch.Events {
		if n := binary.LittleEndian.Uint64(e.Data); n != uint64(c.events) {
			c.disordered++
		}
		c.events++
		if len(c.latencies) < keepLatencies {
			c.latencies = append(c.latencies, time.Duration(now-int64(binary.LittleEndian.Uint64(e.Data[8:]))))
		}
	}
	c.mu.Unlock()
	batch.AnswerAll(core.Accepted())
	return nil
}

func (c *count) Answer(context.Context, core.Call) core.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return core.NewAnswer(counted{c.events, c.disordered, percentile(c.latencies, .5), percentile(c.latencies, .99)})
}
