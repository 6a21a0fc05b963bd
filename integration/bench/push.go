//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// pushLoad is how a number of subscribers is measured.
type pushLoad struct {
	subscribers int
	window      int // events that may be under way when as many as possible are pushed
	rate        int // events a second when their latency is measured
}

// pushCallers is how many connections push.
const pushCallers = 16

// pushPhase is what one phase of a run came to.
type pushPhase struct {
	accepted, deliveries     float64 // per second
	publishCost, deliverCost float64 // µs of CPU, over all processes
	p50, p99                 time.Duration
	frame                    float64 // bytes of one
}

// pushRun is one run of a system.
type pushRun struct{ flat, paced pushPhase }

// measurePush measures all systems in turns.
func measurePush(l pushLoad) func(context.Context, options) error {
	return func(ctx context.Context, o options) error {
		all := systems()
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

// runPush starts a system and its subscribers, and measures both phases.
func runPush(ctx context.Context, o options, s system, l pushLoad) (r pushRun, err error) {
	server, err := s.start(ctx, o)
	if err != nil {
		return r, err
	}
	defer server.end()
	listeners, err := startSubscribers(ctx, listenOrder{server.listen, l.subscribers, s.wamp})
	if err != nil {
		return r, err
	}
	defer listeners.end()
	callers, err := dialCallers(server.push, pushCallers)
	if err != nil {
		return r, err
	}
	defer closeCallers(callers)
	flat, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	if r.flat, err = runPhase(ctx, server, listeners, callers, &load{ctx: flat, window: listeners.begin(l.window)}); err != nil {
		return r, fmt.Errorf("as fast as possible: %w", err)
	}
	listeners.begin(0)
	if r.paced, err = runPhase(ctx, server, listeners, callers, &load{ctx: ctx, due: pace(ctx, l.rate, o.duration)}); err != nil {
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
