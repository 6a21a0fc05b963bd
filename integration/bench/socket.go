//go:build linux

package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// socket is one subscriber.
type socket struct {
	file    *os.File // keeps fd open
	fd      int      // does not block
	partial []byte   // what was read of a message that is not complete
	seen    []uint64 // a bit for each event that came
}

// openSocket connects a subscriber, which then says what join wants.
func openSocket(address, path string, join []step) (*socket, error) {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close() // file is another descriptor of it
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	var s socket
	if err := s.upgrade(conn, address, path); err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	if err := s.join(conn, join); err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	if s.file, err = conn.(*net.TCPConn).File(); err != nil {
		return nil, err
	}
	s.fd = int(s.file.Fd())
	return &s, unix.SetNonblock(s.fd, true)
}

func (s *socket) upgrade(conn net.Conn, address, path string) error {
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n\r\n", path, address)
	if err != nil {
		return err
	}
	for {
		if head, rest, ok := bytes.Cut(s.partial, []byte("\r\n\r\n")); ok {
			if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
				return fmt.Errorf("the server answered %q", head)
			}
			s.partial = bytes.Clone(rest)
			return nil
		}
		if err := s.more(conn); err != nil {
			return err
		}
	}
}

// join subscribes.
func (s *socket) join(conn net.Conn, steps []step) error {
	for _, step := range steps {
		if step.say != "" {
			if _, err := conn.Write(appendFrame(nil, opcodeText, []byte(step.say), true)); err != nil {
				return err
			}
		}
		f, ok := firstFrame(s.partial)
		for ; !ok; f, ok = firstFrame(s.partial) {
			if err := s.more(conn); err != nil {
				return err
			}
		}
		if !bytes.HasPrefix(f.payload, []byte(step.want)) {
			return fmt.Errorf("the server answered %q to %q", f.payload, step.say)
		}
		s.partial = s.partial[f.size:]
	}
	return nil
}

// more reads on during the handshake.
func (s *socket) more(conn net.Conn) error {
	buffer := make([]byte, 4096)
	n, err := conn.Read(buffer)
	s.partial = append(s.partial, buffer[:n]...)
	return err
}

// first notes that an event came and reports whether it was for the first time.
func (s *socket) first(number int) bool {
	for number/64 >= len(s.seen) {
		s.seen = append(s.seen, 0)
	}
	bit := uint64(1) << (number % 64)
	if s.seen[number/64]&bit != 0 {
		return false
	}
	s.seen[number/64] |= bit
	return true
}

// below counts the events with numbers below total that came.
func (s *socket) below(total int) (count int) {
	for number := range min(total, 64*len(s.seen)) {
		count += int(s.seen[number/64] >> (number % 64) & 1)
	}
	return count
}
