//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"
)

// subscribers is the subscribers' process as the publisher sees it.
type subscribers struct {
	child   *child
	count   int
	wrote   chan struct{} // capacity 1: who waits looks at seen
	reports chan listenReport
	ended   chan struct{} // closed when the process says no more

	mu     sync.Mutex
	seen   int           // deliveries in this phase
	freed  int           // events of this phase that are off the window
	window chan struct{} // nil: no window
}

// startSubscribers connects subscribers; the caller ends them.
func startSubscribers(ctx context.Context, order listenOrder) (*subscribers, error) {
	// One processor: the loop is one goroutine, and an idle second one would only
	// take turns with the programs that are measured.
	c, err := startChild(ctx, roleListeners, order, "GOMAXPROCS=1")
	if err != nil {
		return nil, err
	}
	s := &subscribers{
		child: c, count: order.Subscribers,
		wrote: make(chan struct{}, 1), reports: make(chan listenReport, 1), ended: make(chan struct{}),
	}
	if line, err := c.stdout.ReadString('\n'); line != "ready\n" {
		c.end()
		return nil, fmt.Errorf("the subscribers did not connect: %q, %w", line, err)
	}
	go s.read()
	return s, nil
}

func (s *subscribers) end() {
	s.child.end()
	<-s.ended
}

func (s *subscribers) read() {
	defer close(s.ended)
	for {
		line, err := s.child.stdout.ReadBytes('\n')
		if err != nil {
			return
		}
		word, rest, _ := bytes.Cut(bytes.TrimSpace(line), []byte(" "))
		switch string(word) {
		case "seen":
			if seen, err := strconv.Atoi(string(rest)); err == nil {
				s.note(seen)
			}
		case "report":
			var report listenReport
			if json.Unmarshal(rest, &report) == nil {
				s.reports <- report
			}
		}
	}
}

// note frees the window of what has been delivered.
func (s *subscribers) note(seen int) {
	s.mu.Lock()
	s.seen = seen
	for ; s.freed < seen/s.count; s.freed++ {
		select {
		case <-s.window:
		default:
		}
	}
	s.mu.Unlock()
	select {
	case s.wrote <- struct{}{}:
	default:
	}
}

// begin begins a phase. Who publishes puts a token for each event into the
// window, which holds back when so many events are under way.
func (s *subscribers) begin(window int) chan<- struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.freed, s.window = 0, 0, nil
	if window > 0 {
		s.window = make(chan struct{}, window)
	}
	return s.window
}

// finish waits until all events have come, or nothing comes any more, and holds
// what came against what was sent.
func (s *subscribers) finish(ctx context.Context, sent int) (listenReport, error) {
	if err := s.wait(ctx, sent*s.count); err != nil {
		return listenReport{}, err
	}
	if _, err := fmt.Fprintf(s.child.stdin, "end %d\n", sent); err != nil {
		return listenReport{}, fmt.Errorf("ask the subscribers: %w", err)
	}
	select {
	case r := <-s.reports:
		if r.Lost != 0 || r.Doubled != 0 || r.Unexpected != 0 {
			return r, fmt.Errorf("%d events to %d subscribers: %d deliveries lost, %d doubled, %d of events that were not sent",
				sent, s.count, r.Lost, r.Doubled, r.Unexpected)
		}
		return r, nil
	case <-s.ended:
		return listenReport{}, errors.New("the subscribers ended")
	case <-time.After(patience):
		return listenReport{}, errors.New("the subscribers do not answer")
	}
}

// wait returns when so many deliveries were seen, or none for long.
func (s *subscribers) wait(ctx context.Context, deliveries int) error {
	for {
		s.mu.Lock()
		seen := s.seen
		s.mu.Unlock()
		if seen >= deliveries {
			return nil
		}
		select {
		case <-s.wrote:
		case <-time.After(patience):
			return nil // the report says what is missing
		case <-s.ended:
			return errors.New("the subscribers ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
