//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// system is what takes pushes and delivers them, in one of the ways to compare.
type system struct {
	name  string
	wamp  bool // its subscribers speak WAMP
	start func(context.Context, options) (*server, error)
}

// server is a running system.
type server struct {
	push, listen string // host:port of its endpoints /push and /ws
	pid          int    // of the process whose descendants the others are
	end          func()
}

func systems() []system {
	return []system{
		{"bridge", true, startShipped(nil)},
		{"isolation: none", true, startShipped(inOneProcess)},
		{"net/http, write(2)", false, startRaw},
	}
}

// shippedRoute is the file of the route that is measured.
const shippedRoute = "10-crossbar-wamp.yaml"

// hastyEnd shortens the end, over which the bridge spreads its farewells. It may be
// too short for them, which does not matter: what is measured is over.
const hastyEnd = "drain_timeout: 1s\n"

// startShipped starts the bridge with the shipped route, changed by edit.
func startShipped(edit func(string) (string, error)) func(context.Context, options) (*server, error) {
	return func(_ context.Context, o options) (*server, error) {
		dir, err := os.MkdirTemp("", "bench")
		if err != nil {
			return nil, err
		}
		s, err := startIn(o, dir, edit)
		if err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		return s, nil
	}
}

func startIn(o options, dir string, edit func(string) (string, error)) (*server, error) {
	if err := copyConf(o.confDir, filepath.Join(dir, "conf.d"), shippedRoute, edit); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "bridge.yaml"), []byte(hastyEnd), 0o644); err != nil {
		return nil, err
	}
	b, err := serveBridge(o.bridge, dir)
	if err != nil {
		return nil, err
	}
	push, pushErr := b.address("crossbar-pusher")
	listen, listenErr := b.address("wamp")
	if err := errors.Join(pushErr, listenErr); err != nil {
		return nil, errors.Join(err, b.end())
	}
	return &server{
		push: push, listen: listen, pid: b.command.Process.Pid,
		end: func() {
			_ = b.end()
			_ = os.RemoveAll(dir)
		},
	}, nil
}

// startRaw starts the baseline.
func startRaw(ctx context.Context, _ options) (*server, error) {
	c, err := startChild(ctx, roleRaw, nil)
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
