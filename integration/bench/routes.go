//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// settleTime is what the start gets to die away, and idleTime how long processes are
// watched doing nothing: more than one round of the bridge's checks, and much beside
// a tick of the CPU clock.
const (
	settleTime = 2 * time.Second
	idleTime   = 12 * time.Second
)

// routesRun is one start of a bridge with many routes.
type routesRun struct {
	ready           time.Duration // from exec until every route was
	started         usage         // then
	settled, idle   usage         // after settleTime, and after idleTime more
	mainRSS, allRSS int64         // bytes, at the end: of the bridge's own process, of all
	mainPSS, allPSS int64
}

// usage is the CPU time that the bridge's own process, and all processes together,
// have used at one moment.
type usage struct {
	at        time.Time
	main, all time.Duration
}

// percent is one of the two, of a core, between settleTime and the end.
func (r routesRun) percent(of func(usage) time.Duration) float64 {
	return 100 * float64(of(r.idle)-of(r.settled)) / float64(r.idle.at.Sub(r.settled.at))
}

// measureRoutes measures many routes with processes of their own and without, in
// turns.
func measureRoutes(routes int) func(context.Context, options) error {
	return func(ctx context.Context, o options) error {
		p, processes := crossbarToWAMP(), 1+2*routes
		all := []system{
			{fmt.Sprintf("%d processes", processes), true, startShipped(p, routes, nil)},
			{"isolation: none", true, startShipped(p, routes, inOneProcess)},
		}
		expected := []int{processes, 1}
		runs := make([][]routesRun, len(all))
		for range o.runs {
			for i, s := range all {
				r, err := runRoutes(ctx, o, s, expected[i])
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				runs[i] = append(runs[i], r)
			}
		}
		printRoutes(all, runs)
		return nil
	}
}

// runRoutes starts a system, leaves it alone and weighs it at the end.
func runRoutes(ctx context.Context, o options, s system, processes int) (r routesRun, err error) {
	server, err := s.start(ctx, o)
	if err != nil {
		return r, err
	}
	defer server.end()
	pids, err := descendants(server.pid)
	if err != nil {
		return r, err
	}
	if len(pids) != processes {
		return r, fmt.Errorf("%d processes run instead of %d", len(pids), processes)
	}
	r.ready = server.ready
	if r.started, err = usageAfter(ctx, 0, pids); err != nil {
		return r, err
	}
	if r.settled, err = usageAfter(ctx, settleTime, pids); err != nil {
		return r, err
	}
	if r.idle, err = usageAfter(ctx, idleTime, pids); err != nil {
		return r, err
	}
	if r.mainRSS, r.mainPSS, err = memoryOf(server.pid); err != nil {
		return r, err
	}
	r.allRSS, r.allPSS, err = memoryOf(pids...)
	return r, err
}

// usageAfter waits; the first of pids is the bridge's.
func usageAfter(ctx context.Context, wait time.Duration, pids []int) (u usage, err error) {
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return u, ctx.Err()
	}
	u.at = time.Now()
	if u.main, err = cpuOf(pids[0]); err != nil {
		return u, err
	}
	u.all, err = cpuOf(pids...)
	return u, err
}

func printRoutes(all []system, runs [][]routesRun) {
	const mebi = 1 << 20
	printTable("start", all, runs, []column[routesRun]{
		{"ready s", 2, func(r routesRun) float64 { return r.ready.Seconds() }},
		{"bridge CPU s", 2, func(r routesRun) float64 { return r.started.main.Seconds() }},
		{"all CPU s", 2, func(r routesRun) float64 { return r.started.all.Seconds() }},
	})
	printTable("memory, MiB", all, runs, []column[routesRun]{
		{"bridge RSS", 1, func(r routesRun) float64 { return float64(r.mainRSS) / mebi }},
		{"bridge PSS", 1, func(r routesRun) float64 { return float64(r.mainPSS) / mebi }},
		{"all RSS", 1, func(r routesRun) float64 { return float64(r.allRSS) / mebi }},
		{"all PSS", 1, func(r routesRun) float64 { return float64(r.allPSS) / mebi }},
	})
	printTable(fmt.Sprintf("idle for %v, %% of a core", idleTime), all, runs, []column[routesRun]{
		{"bridge", 2, func(r routesRun) float64 { return r.percent(func(u usage) time.Duration { return u.main }) }},
		{"all", 2, func(r routesRun) float64 { return r.percent(func(u usage) time.Duration { return u.all }) }},
	})
}
