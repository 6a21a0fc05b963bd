//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// system is what takes pushes and delivers them, in one of the ways to compare.
type system struct {
	name  string
	join  bool // its subscribers join as the protocol says
	start func(context.Context, options) (*server, error)
}

// server is a running system.
type server struct {
	push, listen string        // host:port where it takes events and clients, on the first route
	pid          int           // of the process whose descendants the others are
	ready        time.Duration // from exec, of the bridge
	end          func()
}

func systems(p protocol) []system {
	return []system{
		{"bridge", true, startShipped(p, 1, nil)},
		{"isolation: none", true, startShipped(p, 1, inOneProcess)},
		{"net/http, write(2)", false, startRaw(p)},
	}
}

// bridgeSettings shorten the end, over which the bridge spreads its farewells. It may
// be too short for them, which does not matter: what is measured is over. Processes
// may take long to start, since many do so at the same time.
const bridgeSettings = "drain_timeout: 1s\nsupervision: { start_timeout: 60s }\n"

// startShipped starts the bridge with copies of a protocol's route, changed by edit.
func startShipped(p protocol, copies int, edit func(string) (string, error)) func(context.Context, options) (*server, error) {
	return func(_ context.Context, o options) (*server, error) {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return nil, err
		}
		s, err := startIn(o, dir, p, copies, edit)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return s, nil
	}
}

func startIn(o options, dir string, p protocol, copies int, edit func(string) (string, error)) (*server, error) {
	if err := copyRoute(filepath.Join(o.confDir, p.route), filepath.Join(dir, "conf.d"), copies, edit); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "bridge.yaml"), []byte(bridgeSettings), 0o644); err != nil {
		return nil, err
	}
	b, err := serveBridge(o.bridge, dir)
	if err != nil {
		return nil, err
	}
	if len(b.routes) != copies {
		return nil, errors.Join(fmt.Errorf("the bridge reported %d routes instead of %d", len(b.routes), copies), b.end())
	}
	push, pushErr := b.address(p.inbound)
	listen, listenErr := b.address(p.outbound)
	if err := errors.Join(pushErr, listenErr); err != nil {
		return nil, errors.Join(err, b.end())
	}
	return &server{
		push: push, listen: listen, pid: b.command.Process.Pid, ready: b.ready,
		end: func() {
			_ = b.end()
			_ = os.RemoveAll(dir)
		},
	}, nil
}

// startRaw starts the baseline.
func startRaw(p protocol) func(context.Context, options) (*server, error) {
	return func(ctx context.Context, _ options) (*server, error) {
		c, err := startChild(ctx, roleRaw, p.name)
		if err != nil {
			return nil, err
		}
		line, err := c.stdout.ReadString('\n')
		if err != nil {
			c.end()
			return nil, fmt.Errorf("the baseline gave no address: %w", err)
		}
		address := strings.TrimSpace(line)
		return &server{
			push: address, listen: address, pid: c.command.Process.Pid,
			end: c.end,
		}, nil
	}
}
