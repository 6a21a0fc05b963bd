//go:build linux

// Command bench measures the whole program beside raw baselines, in one run and
// in turns, so that the ratios hold when the machine's speed does not. `make
// bench` runs it.
//
// Its own executable is also the plugins, the subscribers and the baseline that it
// measures with: started with BRIDGE_BENCH_ROLE it plays that part.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pushbridge/bridge/core/wire/stream"
	"github.com/pushbridge/bridge/integration/bench/swarm"
)

// envRole makes the executable a part of a measurement.
const envRole = "BRIDGE_BENCH_ROLE"

// options are the flags.
type options struct {
	runs     int
	duration time.Duration
	bridge   string
	confDir  string
	only     string
}

func main() {
	stream.RelaxCollector() // as the bridge does
	if os.Getenv(swarm.Env) != "" {
		if err := swarm.Play(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: clients:", err)
			os.Exit(1)
		}
		return
	}
	if play, ok := roles()[os.Getenv(envRole)]; ok {
		if err := play(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.runs, "runs", 5, "runs of each measurement; medians are printed")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "length of one run")
	flag.StringVar(&o.bridge, "bridge", "bin/bridge", "the program to measure")
	flag.StringVar(&o.confDir, "conf-dir", "conf.d", "the shipped folder of routes")
	flag.StringVar(&o.only, "only", "", "measure only what has this in its name")
	flag.Parse()
	if err := measureAll(o); err != nil {
		os.Exit(1)
	}
}

// measureAll goes on after a measurement that fails, and ends with the last error.
// An interrupt ends it, and what it has started.
func measureAll(o options) (failed error) {
	ctx, restore := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer restore()
	for _, m := range measurements() {
		if !strings.Contains(m.name, o.only) {
			continue
		}
		fmt.Printf("\n%s\n", m.title)
		if err := m.measure(ctx, o); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %v\n", m.name, err)
			failed = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// measurement is one table of the output.
type measurement struct {
	name, title string
	measure     func(context.Context, options) error
}

func measurements() []measurement {
	return []measurement{
		{"boundary-256", "Two plugin boundaries (plugin, bridge, plugin), 256-byte events, beside one in-process Go channel", boundary(256)},
		{"boundary-4096", "The same with 4 KiB events", boundary(4096)},
		{"boundary-latency", "The same at 1,000 events a second, 256 bytes", measureLatency},
		{"sockets-1000", "A Pusher channel with 1,000 clients, 256-byte events, at most 8 undelivered, beside one write(2) per delivery", fanOut(1000, fanOutLoad{window: 8})},
		{"sockets-1000-80", "The same at 80 events a second", fanOut(1000, fanOutLoad{rate: 80})},
		{"sockets-5000", "The same with 5,000 clients, at most 8 undelivered", fanOut(5000, fanOutLoad{window: 8})},
		{"sockets-5000-16", "The same at 16 events a second", fanOut(5000, fanOutLoad{rate: 16})},
		{"sockets-idle", "10,000 idle clients of a Pusher channel", idle(10_000)},
		{"push-single", "The shipped route: POST to one WAMP subscriber, beside the same in one process and bare net/http with write(2)", measurePush(pushLoad{protocol: crossbarToWAMP(), subscribers: 1, callers: []int{16}, window: 64, rate: 1000})},
		{"push-1000", "The same to 1,000 subscribers", measurePush(pushLoad{protocol: crossbarToWAMP(), subscribers: 1000, callers: []int{16}, window: 8, rate: 80})},
		{"pusher-push", "The shipped Pusher route: a signed POST of an event to one client, beside the same in one process and bare net/http with write(2)", measurePush(pushLoad{protocol: pusher(), subscribers: 1, callers: []int{1, 16, 64}, window: 256, rate: 1000})},
		{"presence-10000", "10,000 connected clients join a presence channel as 100 members, all at once, on the shipped Pusher route", measurePresence(10_000, 100)},
		{"start", "bridge serve with the shipped conf.d, from exec to ready", measureStart},
		{"routes-50", "50 copies of the shipped route in one bridge: their start, memory and CPU while nothing happens", measureRoutes(50)},
	}
}

func roles() map[string]func() error {
	return map[string]func() error{
		rolePlugin:    servePlugin,
		roleListeners: listen,
		roleRaw:       serveRaw,
		roleSockets:   serveSockets,
	}
}

// median is the middle of the values.
func median[T int | int64 | float64 | time.Duration](values []T) T {
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[len(sorted)/2]
}

// percentile is the value below which that part of the values lies.
func percentile(values []time.Duration, part float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Clone(values)
	slices.Sort(sorted)
	return sorted[min(int(float64(len(sorted))*part), len(sorted)-1)]
}
