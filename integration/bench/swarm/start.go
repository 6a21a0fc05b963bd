//go:build linux

package swarm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
)

// Swarm is the parent's end.
type Swarm struct {
	command *exec.Cmd
	orders  io.WriteCloser
	ready   chan struct{}
	reports chan Report
	failed  chan error

	delivered atomic.Int64
	// Progress gets a value, if it is empty, whenever Delivered has grown.
	Progress chan struct{}
}

// Start starts the swarm and returns when all its sockets are open and have
// heard what they wait for.
func Start(order Order) (*Swarm, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	s := &Swarm{
		command: exec.Command(self), ready: make(chan struct{}), reports: make(chan Report),
		failed: make(chan error, 1), Progress: make(chan struct{}, 1),
	}
	s.command.Env = append(os.Environ(), Env+"="+string(text), "GOMAXPROCS=1")
	s.command.Stderr = os.Stderr
	if s.orders, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start the swarm: %w", err)
	}
	go s.listen(out)
	select {
	case <-s.ready:
		return s, nil
	case err := <-s.failed:
		return nil, err
	}
}

func (s *Swarm) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		switch kind {
		case "ready":
			close(s.ready)
		case "delivered":
			if n, err := strconv.ParseInt(rest, 10, 64); err == nil {
				s.delivered.Store(n)
				select {
				case s.Progress <- struct{}{}:
				default:
				}
			}
		case "report":
			var report Report
			if err := json.Unmarshal([]byte(rest), &report); err != nil {
				s.failed <- err
				return
			}
			s.reports <- report
		}
	}
	s.failed <- fmt.Errorf("the swarm ended: %v", lines.Err())
}

// Delivered is how many events every socket has got since the start.
func (s *Swarm) Delivered() int { return int(s.delivered.Load()) }

// Await returns when that many events were delivered to all.
func (s *Swarm) Await(events int) error {
	for s.Delivered() < events {
		select {
		case <-s.Progress:
		case err := <-s.failed:
			return err
		}
	}
	return nil
}

// Report returns what arrived since the last report.
func (s *Swarm) Report() (Report, error) {
	if _, err := io.WriteString(s.orders, "r"); err != nil {
		return Report{}, err
	}
	select {
	case report := <-s.reports:
		return report, nil
	case err := <-s.failed:
		return Report{}, err
	}
}

// Stop ends the process, and with it all sockets.
func (s *Swarm) Stop() {
	_ = s.orders.Close() // the swarm ends at that
	_ = s.command.Wait()
}
