//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const roleListeners = "listeners"

// listenOrder says where the subscribers connect.
type listenOrder struct {
	Address     string
	Subscribers int
	Protocol    string // its name
	Join        bool   // else the connection is all that a subscriber needs
}

// listenReport is what the subscribers have seen of a phase.
type listenReport struct {
	Deliveries int   // different events, over all subscribers
	Lost       int   // that were expected and did not come
	Doubled    int   // that came again
	Unexpected int   // that nobody said were sent
	Bytes      int   // of their frames
	Last       int64 // when the last one came, in nanoseconds since 1970
	P50, P99   time.Duration
}

// reception is all subscribers in one thread. It costs the measured program as
// little as can be: it parses the headers of frames and nothing else, and finds
// the event by its mark.
type reception struct {
	protocol  protocol
	sockets   []*socket
	epoll     int
	buffer    []byte
	commands  []byte // what was read of a line on standard input
	report    listenReport
	latencies []time.Duration
}

// listen is the subscribers' process. On standard output it says "ready", then
// "seen N" whenever events came, and "report JSON" on "end N" on standard input:
// events 0 to N-1 were sent in the phase that ends. It ends with standard input.
func listen() error {
	var order listenOrder
	if len(os.Args) != 2 {
		return errors.New("the subscribers want one argument")
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &order); err != nil {
		return err
	}
	p, err := protocolNamed(order.Protocol)
	if err != nil {
		return err
	}
	join := p.join
	if !order.Join {
		join = nil
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	r := &reception{protocol: p, epoll: epoll, buffer: make([]byte, 256<<10)}
	if err := r.watch(0, stdinIndex); err != nil {
		return err
	}
	for index := range order.Subscribers {
		s, err := openSocket(order.Address, p.path, join)
		if err != nil {
			return fmt.Errorf("subscriber %d: %w", index, err)
		}
		r.sockets = append(r.sockets, s)
		if err := r.watch(s.fd, int32(index)); err != nil {
			return err
		}
	}
	fmt.Println("ready")
	return r.run()
}

// stdinIndex stands for standard input among the subscribers' indices.
const stdinIndex = -1

func (r *reception) watch(fd int, index int32) error {
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: index}); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

func (r *reception) run() error {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(r.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for events: %w", err)
		}
		told := r.report.Deliveries
		for _, event := range events[:max(n, 0)] {
			if event.Fd == stdinIndex {
				if open, err := r.obey(); err != nil || !open {
					return err
				}
				told = r.report.Deliveries
				continue
			}
			if err := r.read(r.sockets[event.Fd]); err != nil {
				return fmt.Errorf("subscriber %d: %w", event.Fd, err)
			}
		}
		if r.report.Deliveries != told {
			fmt.Printf("seen %d\n", r.report.Deliveries)
		}
	}
}

// read takes what a socket has.
func (r *reception) read(s *socket) error {
	n, err := unix.Read(s.fd, r.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("the server closed the connection")
	}
	now := time.Now().UnixNano()
	data := r.buffer[:n]
	if len(s.partial) > 0 {
		s.partial = append(s.partial, data...)
		data = s.partial
	}
	for f, ok := firstFrame(data); ok; f, ok = firstFrame(data) {
		if err := r.take(s, f, now); err != nil {
			return err
		}
		data = data[f.size:]
	}
	s.partial = append(s.partial[:0], data...)
	return nil
}

// take counts an event, or answers a ping.
func (r *reception) take(s *socket, f frame, now int64) error {
	switch f.opcode {
	case opcodePing:
		_, err := unix.Write(s.fd, appendFrame(nil, opcodePong, f.payload, true))
		return err
	case opcodeClose:
		return fmt.Errorf("the server says goodbye: %q", f.payload)
	}
	if ping := r.protocol.ping; ping != "" && bytes.HasPrefix(f.payload, []byte(ping)) {
		_, err := unix.Write(s.fd, appendFrame(nil, opcodeText, []byte(r.protocol.pong), true))
		return err
	}
	number, due, err := readMark(f.payload)
	if err != nil || number < 0 || number > maxEvents {
		return fmt.Errorf("message %q: event %d, %w", f.payload, number, err)
	}
	if !s.first(number) {
		r.report.Doubled++
		return nil
	}
	r.report.Deliveries++
	r.report.Bytes += f.size
	r.report.Last = now
	if len(r.latencies) < keepLatencies {
		r.latencies = append(r.latencies, time.Duration(now-due))
	}
	return nil
}

// maxEvents bounds the bits that a wrong number could ask for.
const maxEvents = 1 << 30

// obey reads standard input; open is false at its end.
func (r *reception) obey() (open bool, err error) {
	chunk := make([]byte, 256)
	n, err := unix.Read(0, chunk)
	if err != nil || n == 0 {
		return false, err
	}
	r.commands = append(r.commands, chunk[:n]...)
	line, rest, ok := bytes.Cut(r.commands, []byte("\n"))
	if !ok {
		return true, nil
	}
	r.commands = rest
	var total int
	if _, err := fmt.Sscanf(string(line), "end %d", &total); err != nil {
		return false, fmt.Errorf("%q on standard input: %w", line, err)
	}
	return true, r.end(total)
}

// end reports on a phase and begins the next one.
func (r *reception) end(total int) error {
	encoded, err := json.Marshal(r.result(total))
	if err != nil {
		return err
	}
	_, err = fmt.Printf("report %s\n", encoded)
	return err
}

// result holds what came against the events 0 to total-1, and forgets it.
func (r *reception) result(total int) listenReport {
	expected := 0
	for _, s := range r.sockets {
		expected += s.below(total)
		s.seen = s.seen[:0]
	}
	result := r.report
	result.Lost = total*len(r.sockets) - expected
	result.Unexpected = result.Deliveries - expected
	result.P50, result.P99 = percentile(r.latencies, .5), percentile(r.latencies, .99)
	r.report, r.latencies = listenReport{}, r.latencies[:0]
	return result
}
