//go:build linux

package swarm

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Play is the swarm's process. It returns when its parent is gone or stops it.
func Play() error {
	var order Order
	if err := json.Unmarshal([]byte(os.Getenv(Env)), &order); err != nil {
		return fmt.Errorf("read the order: %w", err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		limit.Cur = limit.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	p := &player{order: order, sockets: make(map[int32]*socket), buffer: make([]byte, 256<<10)}
	var err error
	if p.epoll, err = unix.EpollCreate1(0); err != nil {
		return err
	}
	if err := p.watch(0); err != nil {
		return err
	}
	p.began = time.Now()
	for range order.Sockets {
		if err := p.open(); err != nil {
			return err
		}
	}
	p.checkReady()
	return p.run()
}

// player is the state of the process.
type player struct {
	order   Order
	epoll   int
	sockets map[int32]*socket
	buffer  []byte
	heard   int // sockets that heard what they wait for
	ready   bool

	began, joining time.Time // of Presence: opening sockets, and joining
	greeted        int       // sockets that know their id
	failed         error     // ends the process

	arrived   [4096]int // by number, modulo: sockets that have the event
	delivered int
	told      int // the delivered that the parent knows of

	report  Report
	latency [200_000]uint32 // deliveries by 10 µs
}

// socket is one WebSocket.
type socket struct {
	heard bool
	id    string // of Presence
	last  int    // number of the last event
	rest  []byte // the beginning of a frame
}

func (p *player) watch(fd int) error {
	return unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

const handshake = "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"

// open opens a socket and shakes hands.
func (p *player) open() error {
	address, err := netip.ParseAddrPort(p.order.Address)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if _, err := unix.Write(fd, fmt.Appendf(nil, handshake, p.order.Path, p.order.Address)); err != nil {
		return err
	}
	var answer []byte
	end := -1
	for end < 0 {
		n, err := unix.Read(fd, p.buffer)
		if err != nil || n == 0 {
			return fmt.Errorf("handshake: %w", errors.Join(err, net.ErrClosed))
		}
		answer = append(answer, p.buffer[:n]...)
		end = bytes.Index(answer, []byte("\r\n\r\n"))
	}
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 101")) {
		return fmt.Errorf("handshake: %q", answer)
	}
	s := &socket{heard: p.order.Hear == ""}
	if s.heard {
		p.heard++
	}
	p.sockets[int32(fd)] = s
	if p.order.Say != "" {
		if err := p.write(fd, 0x81, []byte(p.order.Say)); err != nil {
			return err
		}
	}
	p.take(fd, s, answer[end+4:])
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return p.watch(fd)
}

// write writes a short masked frame; the mask is zero.
func (p *player) write(fd int, first byte, payload []byte) error {
	frame := []byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}
	if len(payload) > 125 {
		frame = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(len(payload)))
		frame = append(frame, 0, 0, 0, 0)
	}
	_, err := unix.Write(fd, append(frame, payload...))
	return err
}

func (p *player) checkReady() {
	if !p.ready && len(p.sockets) == p.order.Sockets && p.heard == p.order.Sockets {
		p.ready = true
		if p.order.Presence != nil {
			p.report.Joined = time.Since(p.joining)
		}
		fmt.Println("ready")
	}
}

func (p *player) run() error {
	events := make([]unix.EpollEvent, 512)
	for p.failed == nil {
		n, err := unix.EpollWait(p.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			if event.Fd != 0 {
				p.read(int(event.Fd))
			} else if !p.obey() {
				return nil
			}
		}
		p.checkReady()
		if p.delivered > p.told {
			p.told = p.delivered
			fmt.Println("delivered", p.told)
		}
	}
	return p.failed
}

// obey reads an order of the parent; false when it wants no more.
func (p *player) obey() bool {
	var order [1]byte
	if n, err := unix.Read(0, order[:]); err != nil || n == 0 {
		return false
	}
	p.report.P50, p.report.P99 = p.percentile(0.50), p.percentile(0.99)
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err == nil {
		p.report.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	text, err := json.Marshal(p.report)
	if err != nil {
		return false
	}
	fmt.Println("report", string(text))
	p.report = Report{}
	clear(p.latency[:])
	return true
}

func (p *player) percentile(part float64) time.Duration {
	want := uint32(float64(p.report.Deliveries) * part)
	seen := uint32(0)
	for i, n := range p.latency {
		if seen += n; seen > want {
			return time.Duration(i) * 10 * time.Microsecond
		}
	}
	return 0
}

func (p *player) read(fd int) {
	s := p.sockets[int32(fd)]
	n, err := unix.Read(fd, p.buffer)
	switch {
	case errors.Is(err, unix.EAGAIN):
	case err != nil || n == 0:
		p.report.Closed++
		_ = unix.Close(fd)
	case len(s.rest) > 0:
		all := append(s.rest, p.buffer[:n]...)
		s.rest = nil
		p.take(fd, s, all)
	default:
		p.take(fd, s, p.buffer[:n])
	}
}

// take handles whole frames and keeps the beginning of one.
func (p *player) take(fd int, s *socket, data []byte) {
	now := time.Now().UnixNano()
	for {
		first, payload, size := split(data)
		if size == 0 {
			break
		}
		switch first & 0x0f {
		case 1, 2:
			p.event(s, payload, now)
		case 8:
			_ = p.write(fd, 0x88, payload)
		case 9:
			_ = p.write(fd, 0x8a, payload)
		}
		data = data[size:]
	}
	if len(data) > 0 {
		s.rest = bytes.Clone(data)
	}
}

// split takes the first frame off; size 0 if it is not whole.
func split(data []byte) (first byte, payload []byte, size int) {
	if len(data) < 2 {
		return 0, nil, 0
	}
	length, header := int(data[1]&0x7f), 2
	switch {
	case length == 126 && len(data) >= 4:
		length, header = int(binary.BigEndian.Uint16(data[2:])), 4
	case length == 127 && len(data) >= 10:
		length, header = int(binary.BigEndian.Uint64(data[2:])), 10
	case length >= 126:
		return 0, nil, 0
	}
	if len(data) < header+length {
		return 0, nil, 0
	}
	return data[0], data[header : header+length], header + length
}

func (p *player) event(s *socket, payload []byte, now int64) {
	if p.order.Presence != nil && s.id == "" {
		p.failed = errors.Join(p.failed, p.greet(s, payload))
		return
	}
	if !s.heard && strings.Contains(string(payload), p.order.Hear) {
		s.heard = true
		p.heard++
		return
	}
	if !p.ready && strings.Contains(string(payload), "subscription_error") {
		p.failed = fmt.Errorf("the server refuses: %q", payload)
	}
	number, due := parseMark(payload)
	if number == 0 {
		return
	}
	if number != s.last+1 {
		p.report.Lost++
	}
	s.last = number
	p.report.Deliveries++
	p.latency[min(max(int((now-due)/10_000), 0), len(p.latency)-1)]++
	slot := &p.arrived[number%len(p.arrived)]
	if *slot++; *slot == p.order.Sockets {
		*slot = 0
		p.delivered++
	}
}
