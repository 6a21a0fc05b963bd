//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/integration/bench/swarm"
)

const presenceChannel = "presence-bench"

// presenceRun is one start of the bridge whose clients join a presence channel.
type presenceRun struct {
	connected   time.Duration // from the first connection until every client was greeted
	joined      time.Duration // from the first subscription until every client had its answer
	cpu         time.Duration // of all processes of the bridge meanwhile, connecting and joining
	before, all int64         // PSS of all processes, bytes: without clients, and with all in the channel
}

// measurePresence measures with processes and without, in turns.
func measurePresence(clients, members int) func(context.Context, options) error {
	return func(ctx context.Context, o options) error {
		raiseDescriptors()
		both := systems(pusher())[:2]
		runs := make([][]presenceRun, len(both))
		for range o.runs {
			for i, s := range both {
				r, err := runPresence(ctx, o, s, clients, members)
				if err != nil {
					return fmt.Errorf("%s: %w", s.name, err)
				}
				runs[i] = append(runs[i], r)
			}
		}
		const mebi = 1 << 20
		printTable(fmt.Sprintf("%d clients, %d members", clients, members), both, runs, []column[presenceRun]{
			{"connect s", 2, func(r presenceRun) float64 { return r.connected.Seconds() }},
			{"join s", 2, func(r presenceRun) float64 { return r.joined.Seconds() }},
			{"CPU s", 2, func(r presenceRun) float64 { return r.cpu.Seconds() }},
			{"MiB before", 1, func(r presenceRun) float64 { return float64(r.before) / mebi }},
			{"MiB after", 1, func(r presenceRun) float64 { return float64(r.all) / mebi }},
			{"KiB/client", 1, func(r presenceRun) float64 { return float64(r.all-r.before) / 1024 / float64(clients) }},
		})
		fmt.Println("  memory is PSS over all processes; the HTTP API counts every member")
		return nil
	}
}

// runPresence starts a system and lets all clients join.
func runPresence(ctx context.Context, o options, s system, clients, members int) (r presenceRun, err error) {
	server, err := s.start(ctx, o)
	if err != nil {
		return r, err
	}
	defer server.end()
	pids, err := descendants(server.pid)
	if err != nil {
		return r, err
	}
	if _, r.before, err = memoryOf(pids...); err != nil {
		return r, err
	}
	before, err := cpuOf(pids...)
	if err != nil {
		return r, err
	}
	joined, err := swarm.Start(swarm.Order{
		Address: server.listen, Path: pusherPath, Sockets: clients, Hear: "pusher_internal:subscription_succeeded",
		Presence: &swarm.Presence{Channel: presenceChannel, Key: pusherKey, Secret: pusherSecret, Members: members},
	})
	if err != nil {
		return r, err
	}
	defer joined.Stop()
	after, err := cpuOf(pids...)
	if err != nil {
		return r, err
	}
	r.cpu = after - before
	if _, r.all, err = memoryOf(pids...); err != nil {
		return r, err
	}
	report, err := joined.Report()
	if err != nil {
		return r, err
	}
	if report.Closed > 0 {
		return r, fmt.Errorf("%d clients were cut off", report.Closed)
	}
	r.connected, r.joined = report.Connected, report.Joined
	return r, checkMembers(ctx, server.push, members)
}

// checkMembers asks the HTTP API how many users the channel has.
func checkMembers(ctx context.Context, address string, members int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	target := signedTarget(signature.NewSecret(pusherSecret), http.MethodGet,
		"/apps/"+pusherApp+"/channels/"+presenceChannel, nil, "info=user_count")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+target, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask for the channel's members: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	var channel struct {
		Users int `json:"user_count"`
	}
	if err := errors.Join(err, json.Unmarshal(text, &channel)); err != nil {
		return fmt.Errorf("%s: %q: %w", response.Status, text, err)
	}
	if channel.Users != members {
		return fmt.Errorf("the channel has %d members instead of %d: %q", channel.Users, members, text)
	}
	return nil
}
