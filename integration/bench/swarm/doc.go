//go:build linux

// Package swarm is the other side of a measurement: a process of its own that
// opens many WebSockets, reads all of them with one thread, checks every frame,
// and tells its parent what arrived. It does little more than read(2) and look
// for numbers, so that what is measured is the server.
//
// The parent calls [Start]; its executable, started again with [Env] set, calls
// [Play]. Each event carries a [Mark].
package swarm

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Env is set for the process that is to call Play.
const Env = "BRIDGE_SWARM"

// Order says what the swarm is to do.
type Order struct {
	Address string // host:port
	Path    string // of the handshake
	Sockets int
	// Say is a message that each socket sends after the handshake, and Hear is
	// in the message that it waits for then; empty: nothing.
	Say, Hear string
	// Presence, if there is one, is joined by all sockets once all are open; each
	// waits for Hear then.
	Presence *Presence
}

// Report is what arrived since the last one.
type Report struct {
	Deliveries int
	Lost       int // numbers that a socket did not get, or not in order
	Closed     int // sockets that the server closed
	P50, P99   time.Duration
	CPU        time.Duration // of the swarm's process
	// In the first report of an order with Presence: from the first connection
	// until every socket was greeted, and from then until every one had joined.
	Connected, Joined time.Duration
}

// Mark is what an event must contain, with no tilde before it: its number,
// counted from 1, and when it was due.
func Mark(number int, due time.Time) string {
	return fmt.Sprintf("~%012d~%019d~", number, due.UnixNano())
}

const (
	numberAt, numberEnd = 1, 13
	dueAt, dueEnd       = 14, 33
	markLength          = 34
)

// parseMark finds the mark in a payload; number 0 if there is none.
func parseMark(payload []byte) (number int, due int64) {
	at := bytes.IndexByte(payload, '~')
	if at < 0 || len(payload) < at+markLength {
		return 0, 0
	}
	mark := payload[at : at+markLength]
	number, err := strconv.Atoi(string(mark[numberAt:numberEnd]))
	if err != nil {
		return 0, 0
	}
	due, err = strconv.ParseInt(string(mark[dueAt:dueEnd]), 10, 64)
	if err != nil {
		return 0, 0
	}
	return number, due
}
