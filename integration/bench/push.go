//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// pushLoad is how a number of subscribers is measured.
type pushLoad struct {
	protocol    protocol
	subscribers int
	callers     []int // how many push as much as possible, one count after another
	window      int   // events that may be under way when as many as possible are pushed
	rate        int   // events a second when their latency is measured
}

// pacedCallers is how many connections push at a rate.
const pacedCallers = 16

// pushPhase is what one phase of a run came to.
type pushPhase struct {
	accepted, deliveries     float64 // per second
	publishCost, deliverCost float64 // µs of CPU, over all processes
	p50, p99                 time.Duration
	frame                    float64 // bytes of one
}

// pushRun is one run of a system.
type pushRun struct {
	flat  []pushPhase // for each count of callers
	paced pushPhase
}

// measurePush measures all systems in turns.
func measurePush(l pushLoad) func(context.Context, options) error {
	return func(ctx context.Context, o options) error {
		all := systems(l.protocol)
		runs := make([][]pushRun, len(all))
		for range o.runs {
			for i, s := range all {
				r, err := runPush(ctx, o, s, l)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				runs[i] = append(runs[i], r)
			}
		}
		printPush(all, runs, l)
		return nil
	}
}

// runPush starts a system and its subscribers, and measures all phases.
func runPush(ctx context.Context, o options, s system, l pushLoad) (r pushRun, err error) {
	server, err := s.start(ctx, o)
	if err != nil {
		return r, err
	}
	defer server.end()
	listeners, err := startSubscribers(ctx, listenOrder{server.listen, l.subscribers, l.protocol.name, s.join})
	if err != nil {
		return r, err
	}
	defer listeners.end()
	callers, err := dialCallers(l.protocol, server.push, max(pacedCallers, slices.Max(l.callers)))
	if err != nil {
		return r, err
	}
	defer closeCallers(callers)
	for _, count := range l.callers {
		flat, cancel := context.WithTimeout(ctx, o.duration)
		phase, err := runPhase(ctx, server, listeners, callers[:count], &load{ctx: flat, window: listeners.begin(l.window)})
		cancel()
		if err != nil {
			return r, fmt.Errorf("%d callers, as fast as possible: %w", count, err)
		}
		r.flat = append(r.flat, phase)
	}
	listeners.begin(0)
	if r.paced, err = runPhase(ctx, server, listeners, callers[:pacedCallers], &load{ctx: ctx, due: pace(ctx, l.rate, o.duration)}); err != nil {
		return r, fmt.Errorf("at %d events/s: %w", l.rate, err)
	}
	return r, nil
}

// runPhase publishes a load and waits for all of its deliveries.
func runPhase(ctx context.Context, server *server, listeners *subscribers, callers []*caller, l *load) (pushPhase, error) {
	pids, err := descendants(server.pid)
	if err != nil {
		return pushPhase{}, err
	}
	before, err := cpuOf(pids...)
	if err != nil {
		return pushPhase{}, err
	}
	begin := time.Now()
	events, took, err := publish(callers, l)
	if err != nil {
		return pushPhase{}, err
	}
	seen, err := listeners.finish(ctx, events)
	if err != nil {
		return pushPhase{}, err
	}
	after, err := cpuOf(pids...)
	if err != nil {
		return pushPhase{}, err
	}
	cpu := float64((after - before).Microseconds())
	return pushPhase{
		accepted:    float64(events) / took.Seconds(),
		deliveries:  float64(seen.Deliveries) / time.Unix(0, seen.Last).Sub(begin).Seconds(),
		publishCost: cpu / float64(events),
		deliverCost: cpu / float64(seen.Deliveries),
		p50:         seen.P50, p99: seen.P99,
		frame: float64(seen.Bytes) / float64(seen.Deliveries),
	}, nil
}
