//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// caller pushes over one connection that it keeps. It writes its requests by
// hand, because http.Client would take as much of the machine as what it calls.
type caller struct {
	protocol      protocol
	conn          net.Conn
	reader        *bufio.Reader
	host          string
	body, request []byte
}

// dialCallers connects callers; closeCallers closes them.
func dialCallers(p protocol, address string, count int) ([]*caller, error) {
	var all []*caller
	for range count {
		conn, err := net.DialTimeout("tcp", address, patience)
		if err != nil {
			closeCallers(all)
			return nil, err
		}
		all = append(all, &caller{protocol: p, conn: conn, reader: bufio.NewReader(conn), host: address})
	}
	return all, nil
}

func closeCallers(all []*caller) {
	for _, c := range all {
		_ = c.conn.Close()
	}
}

// push pushes an event and returns when it is accepted.
func (c *caller) push(number int, due time.Time) error {
	c.body = c.protocol.appendBody(c.body[:0], number, due)
	c.request = fmt.Appendf(c.request[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		c.protocol.target(http.MethodPost, c.body), c.host, len(c.body))
	c.request = append(c.request, c.body...)
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.conn.Write(c.request); err != nil {
		return fmt.Errorf("push: %w", err)
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, answer)
	}
	return err
}

// load says which events are pushed, and when.
type load struct {
	ctx    context.Context // its end ends the load
	pushed atomic.Int64
	window chan<- struct{}  // takes a token for each event, or nil
	due    <-chan time.Time // when each event is due, or nil: at once
}

// next is the next event; ok is false at the end.
func (l *load) next() (number int, due time.Time, ok bool) {
	if l.due != nil {
		if due, ok = <-l.due; !ok {
			return 0, due, false
		}
	} else {
		select {
		case l.window <- struct{}{}:
		case <-l.ctx.Done():
			return 0, due, false
		}
		due = time.Now()
	}
	return int(l.pushed.Add(1)) - 1, due, true
}

// publish lets the callers push the load, and one event more, which every
// subscriber gets behind all others. It returns how many were pushed, all of them
// accepted, and how long that took.
func publish(callers []*caller, l *load) (events int, took time.Duration, err error) {
	begin := time.Now()
	failures := make(chan error, len(callers)) // one each
	var work sync.WaitGroup
	for _, c := range callers {
		work.Go(func() {
			for {
				number, due, ok := l.next()
				if !ok {
					return
				}
				if err := c.push(number, due); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	work.Wait()
	close(failures)
	if err := <-failures; err != nil {
		return 0, 0, err
	}
	events = int(l.pushed.Add(1))
	if err := callers[0].push(events-1, time.Now()); err != nil {
		return 0, 0, err
	}
	return events, time.Since(begin), nil
}

// pace tells when events are due, at a rate, for a time. It sleeps in a thread of
// its own: the runtime's timers are as coarse as what is measured.
func pace(ctx context.Context, rate int, duration time.Duration) <-chan time.Time {
	count := int(duration.Seconds() * float64(rate))
	due := make(chan time.Time, count) // never waits for a caller: lateness is to be measured
	go func() {
		defer close(due)
		runtime.LockOSThread() // for ever: the thread ends with its slack
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		begin := time.Now()
		for n := range count {
			at := begin.Add(time.Duration(n) * time.Second / time.Duration(rate))
			for wait := time.Until(at); wait > 0 && ctx.Err() == nil; wait = time.Until(at) {
				span := unix.NsecToTimespec(wait.Nanoseconds())
				_ = unix.Nanosleep(&span, nil) // a signal may cut it short
			}
			if ctx.Err() != nil {
				return
			}
			due <- at
		}
	}()
	return due
}
