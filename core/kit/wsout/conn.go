package wsout

import (
	"bytes"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// Conn is one WebSocket. Its methods may be called from any goroutine, and none
// waits for the network. A method that finds the connection ended does nothing.
type Conn struct {
	w        *Writer
	shard    int // which of the Writer's it belongs to
	settings *Settings
	ws       *websocket.Conn // reads, and answers pings
	below    net.Conn        // what the frames are written to
	socket   syscall.RawConn // below's, to write to directly; nil: only through the outbox
	// compressed says that the client takes compressed messages.
	compressed bool

	lastRead atomic.Int64 // when something last came, in Unix nanoseconds
	ponged   atomic.Bool

	mu          sync.Mutex
	state       state
	end         End
	memberships []*member
	out         *outbox     // nil: everything is written
	flushed     func()      // if not nil: called with mu held when out has been written
	timer       *time.Timer // liveness; while ending, the cut
	exempt      time.Time   // until then the shard does not wait for it; see round
	pinged      int64       // when the client was asked for a sign of life; 0: was not
}

type state uint8

const (
	open   state = iota
	ending       // a close frame is written or queued: nothing may follow it
	over         // the connection below is closed
)

// Subprotocol is what was agreed on; "" if nothing.
func (c *Conn) Subprotocol() string { return c.ws.Subprotocol() }

// LastRead is when the client last sent something, be it a part of a frame.
func (c *Conn) LastRead() time.Time { return time.Unix(0, c.lastRead.Load()) }

// Ponged reports whether the client ever sent a pong frame.
func (c *Conn) Ponged() bool { return c.ponged.Load() }

// Send sends frames, behind all that was broadcast to the connection's groups
// before. It is false if the connection has ended.
func (c *Conn) Send(frames ...*Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return false
	}
	c.send(frames)
	return true
}

// Ping sends a ping frame.
func (c *Conn) Ping() {
	c.control([]byte{final | opPing, 0})
}

// Close sends what is queued and a close frame, after which nothing is sent or
// given to the handler any more, waits in the background for the client to
// answer, and cuts the connection if that takes longer than the close timeout.
// A second Close does nothing.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return
	}
	c.send(nil)
	c.farewell(End{Code: code, Reason: shorten(reason)})
}

// Cut ends the connection at once, without a close frame.
func (c *Conn) Cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail(nil)
}

func (c *Conn) memberOf(g *Group) *member {
	for _, m := range c.memberships {
		if m.group == g {
			return m
		}
	}
	return nil
}

func (c *Conn) isMemberOf(g *Group) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.memberOf(g) != nil
}

func (c *Conn) sendIfMember(g *Group, frame *Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.memberOf(g) == nil {
		return false
	}
	c.send([]*Frame{frame})
	return true
}

// deliver gives a member's connection its part of a batch.
func (c *Conn) deliver(m *member, b *batch, s *shard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.left || m.next >= b.end() {
		return
	}
	data, messages := b.from(m.next, c)
	m.next = b.end()
	c.put(data, messages, s.direct)
	s.join(c)
}

// directs are for those who write outside of a shard.
var directs = sync.Pool{New: func() any { return newDirect() }}

// send writes what the connection's groups have for it, then frames. c.mu is
// held and the connection open; it may not be afterwards.
func (c *Conn) send(frames []*Frame) {
	d := directs.Get().(*direct)
	defer directs.Put(d)
	var data []byte
	messages := 0
	for _, m := range c.memberships {
		if m.next == m.group.head.Load() {
			continue
		}
		b := m.group.since(m.next)
		more, count := b.from(m.next, c)
		m.next = b.end()
		data = append(data, more...)
		messages += count
	}
	if len(frames) == 1 && messages == 0 {
		c.put(frames[0].bytes(c.compressed), 1, d)
		return
	}
	for _, frame := range frames {
		data = append(data, frame.bytes(c.compressed)...)
	}
	c.put(data, messages+len(frames), d)
}

// put writes frames, or queues them if others wait or the socket does not take
// them. c.mu is held.
func (c *Conn) put(data []byte, messages int, d *direct) {
	if len(data) == 0 || c.state != open {
		return
	}
	if c.out == nil && c.socket != nil {
		n, err := d.write(c.socket, data)
		if err != nil {
			c.fail(err)
		} else if n < len(data) {
			c.queueUp(&outbox{rest: data[n:]})
		}
		return
	}
	if c.out == nil {
		o := new(outbox)
		o.add(data, messages)
		c.queueUp(o)
		return
	}
	c.out.add(data, messages)
	if c.out.above(c.settings, 1) {
		c.evict()
	}
}

// queueUp starts a goroutine that writes the outbox. c.mu is held.
func (c *Conn) queueUp(o *outbox) {
	c.out = o
	if !c.w.run(c.catchUp) {
		c.fail(nil) // the Writer is closing
		c.out = nil
	}
}

// control writes or queues a whole control frame: one of ours or one that the
// library made.
func (c *Conn) control(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != open:
	case frame[0] == final|opClose: // the answer to the client's, or a violation of the protocol
		end := parseClose(frame)
		end.Remote = true // finish knows better
		c.farewell(end)
	case c.out == nil && c.socket == nil:
		c.queueUp(&outbox{urgent: bytes.Clone(frame)})
	case c.out == nil:
		d := directs.Get().(*direct)
		defer directs.Put(d)
		c.put(bytes.Clone(frame), 1, d)
	case len(c.out.urgent)+len(frame) <= maxUrgent:
		c.out.urgent = append(c.out.urgent, frame...)
	}
}

// evict ends a connection whose client does not keep up. c.mu is held.
func (c *Conn) evict() {
	c.out.discard()
	c.farewell(End{Code: c.settings.Slow.Code, Reason: shorten(c.settings.Slow.Reason), Slow: true})
}

// farewell sends a close frame as the last frame. c.mu is held and the
// connection open.
func (c *Conn) farewell(end End) {
	c.leaveAll()
	frame := closeFrame(end)
	if c.out == nil {
		d := directs.Get().(*direct)
		defer directs.Put(d)
		c.put(frame, 1, d)
	} else {
		c.out.last = frame
	}
	if c.state != open {
		return // writing found it gone
	}
	c.state, c.end = ending, end
	c.stopTimer()
	c.timer = time.AfterFunc(c.settings.CloseTimeout, c.Cut)
}

// fail ends the connection below. c.mu is held.
func (c *Conn) fail(err error) {
	if c.state == over {
		return
	}
	c.leaveAll()
	if c.state == open {
		c.end = End{Code: CodeAbnormal, Remote: err != nil, Err: err}
	}
	c.state = over
	c.stopTimer()
	if c.out != nil {
		c.out.discard()
		c.out.rest, c.out.last = nil, nil
	}
	belowTLS(c.below).Close()
}

func (c *Conn) stopTimer() {
	if c.timer != nil {
		c.timer.Stop()
	}
}

func (c *Conn) leaveAll() {
	for _, m := range c.memberships {
		m.left = true
		m.group.remove(m)
	}
	c.memberships = nil
}

// closeFrame makes the close frame of an end.
func closeFrame(end End) []byte {
	if end.Code == CodeNoStatus {
		return []byte{final | opClose, 0}
	}
	frame := appendHeader(nil, final|opClose, 2+len(end.Reason))
	frame = binary.BigEndian.AppendUint16(frame, uint16(end.Code))
	return append(frame, end.Reason...)
}

// parseClose reads a close frame of the library's.
func parseClose(frame []byte) End {
	_, payload := headerOf(frame)
	if len(payload) < 2 {
		return End{Code: CodeNoStatus}
	}
	return End{Code: int(binary.BigEndian.Uint16(payload)), Reason: string(payload[2:])}
}

// shorten keeps a reason within what a close frame holds, in whole characters.
func shorten(reason string) string {
	const most = maxControl - 2
	if len(reason) <= most {
		return reason
	}
	end := most
	for end > 0 && !utf8.RuneStart(reason[end]) {
		end--
	}
	return reason[:end]
}
