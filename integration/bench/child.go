//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// patience bounds every wait for another process; it decides nothing else.
const patience = time.Minute

// child is this executable playing a part. It ends when its standard input does.
type child struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
}

// startChild starts a part with its order as the argument; ctx ends it too. The
// caller ends it.
func startChild(ctx context.Context, role string, order any, env ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argument, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, string(argument))
	command.Env = append(append(os.Environ(), envRole+"="+role), env...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return &child{command, stdin, bufio.NewReader(stdout)}, nil
}

// end ends the process and waits for that.
func (c *child) end() {
	_ = c.stdin.Close()
	giveUp := time.AfterFunc(patience, func() { _ = c.command.Process.Kill() })
	defer giveUp.Stop()
	_ = c.command.Wait() // how it ended is of no interest any more
}
