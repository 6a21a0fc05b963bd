//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pushbridge/bridge/core"
)

// bridge is a running `bridge serve`.
type bridge struct {
	command *exec.Cmd
	log     string        // its file
	ready   time.Duration // from exec until the routes were reported
	routes  []routeStatus
}

// routeStatus is what the program reports of a route.
type routeStatus struct {
	Route, State, Problem string
	Instances             []struct {
		Name, Adapter string
		Addresses     []core.Address
	}
}

// serveBridge runs the program in a folder that holds a conf.d until it reports
// that every route is ready. The caller ends it, and nobody else: an interrupt
// from the terminal would be a first signal, and the second cuts its end short.
func serveBridge(program, dir string) (*bridge, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(program, "serve", "--json")
	command.Dir, command.Stderr = dir, log
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // away from the terminal
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("%w; make build makes it", err)
	}
	giveUp := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	giveUp.Stop()
	b := &bridge{command: command, log: log.Name(), ready: time.Since(begin)}
	if err != nil {
		_ = b.end()
		return nil, b.failure(fmt.Errorf("the bridge did not report its routes: %w", err))
	}
	if err := b.takeReport(line); err != nil {
		_ = b.end()
		return nil, b.failure(err)
	}
	return b, nil
}

func (b *bridge) takeReport(line []byte) error {
	var report struct{ Routes []routeStatus }
	if err := json.Unmarshal(line, &report); err != nil {
		return fmt.Errorf("the bridge reported %q: %w", line, err)
	}
	if len(report.Routes) == 0 {
		return fmt.Errorf("the bridge reported no routes")
	}
	for _, r := range report.Routes {
		if r.State != "ready" {
			return fmt.Errorf("route %s is %s: %s", r.Route, r.State, r.Problem)
		}
	}
	b.routes = report.Routes
	return nil
}

// address is where the first instance of an adapter listens.
func (b *bridge) address(adapter string) (string, error) {
	for _, r := range b.routes {
		for _, i := range r.Instances {
			if i.Adapter == adapter && len(i.Addresses) > 0 {
				return i.Addresses[0].Listen, nil
			}
		}
	}
	return "", fmt.Errorf("the bridge reported no address of %s", adapter)
}

// end stops the program as an operator does and waits for it.
func (b *bridge) end() error {
	_ = b.command.Process.Signal(syscall.SIGTERM) // it may have ended
	giveUp := time.AfterFunc(patience, func() { _ = b.command.Process.Kill() })
	defer giveUp.Stop()
	if err := b.command.Wait(); err != nil {
		return b.failure(fmt.Errorf("the bridge stopped: %w", err))
	}
	return nil
}

// failure is an error with what the bridge has logged.
func (b *bridge) failure(err error) error {
	const most = 4096
	text, readErr := os.ReadFile(b.log)
	if readErr != nil || len(text) == 0 {
		return err
	}
	return fmt.Errorf("%w; the end of its log:\n%s", err, text[max(0, len(text)-most):])
}
