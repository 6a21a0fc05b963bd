package wsout

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Group is a set of connections that get the same frames in the same order. It
// needs no closing: one that nobody refers to is gone. Its methods may be called
// from any goroutine, and none waits for a network.
//
// Locks are taken in the order Conn, Group, shard.
type Group struct {
	w *Writer
	// head is the number of the next entry. It changes with mu held.
	head atomic.Uint64

	mu  sync.Mutex
	log []entry // the last entries, up to head; those that every part has offered are gone
	// parts are the members by shard.
	parts []*part
	size  int // members
}

// entry is one broadcast.
type entry struct {
	frame  *Frame
	except set
}

// part is the members that one shard writes to. The group's lock guards it.
type part struct {
	group   *Group
	shard   *shard
	members []*member
	// lent says that the shard is going through members, so that they may be
	// appended to but not changed.
	lent bool
	// queued says that the part is on its way to the shard or with it; next is
	// the first entry that it has not offered to all members then.
	queued bool
	next   uint64
}

// member is a connection in a group.
type member struct {
	conn  *Conn
	group *Group
	index int // within its part; the group's lock guards it
	// next is the first entry that the connection has not been given; left says
	// that it gets no more. The connection's lock guards both.
	next uint64
	left bool
}

// NewGroup makes an empty group.
func (w *Writer) NewGroup() *Group {
	g := &Group{w: w, parts: make([]*part, len(w.shards))}
	for i, s := range w.shards {
		g.parts[i] = &part{group: g, shard: s}
	}
	return g
}

// Len is the number of members.
func (g *Group) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// Join makes c a member and sends it frames, as one step: c gets the frames
// first, then all that is broadcast after Join was called, and nothing that was
// broadcast before. It is false if c has ended. If c is a member already, it is
// sent the frames only. A connection that ends leaves its groups by itself.
func (g *Group) Join(c *Conn, frames ...*Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != open {
		return false
	}
	if c.memberOf(g) != nil {
		c.send(frames)
		return true
	}
	m := &member{conn: c, group: g}
	g.insert(m)
	// What is broadcast from here on waits for the connection's lock, and send
	// does not look for it as long as the group is not among the memberships.
	c.send(frames)
	if c.state != open { // sending found it gone
		m.left = true
		g.remove(m)
		return false
	}
	c.memberships = append(c.memberships, m)
	return true
}

// Leave ends c's membership and sends it frames, as one step: c gets what was
// broadcast before, then the frames, and nothing that is broadcast after. It is
// false if c is no member or has ended.
func (g *Group) Leave(c *Conn, frames ...*Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.memberOf(g)
	if m == nil {
		return false
	}
	c.send(frames)
	if c.state != open {
		return false // sending found it gone
	}
	c.memberships = slices.DeleteFunc(c.memberships, func(other *member) bool { return other == m })
	m.left = true
	g.remove(m)
	return true
}

// Broadcast gives a frame to every member except some, and returns how many
// those are. It takes the frame into the group's log; see [Writer.Wait]. The
// slice is the group's from now on.
func (g *Group) Broadcast(frame *Frame, except ...*Conn) (receivers int) {
	spare := newSet(except)
	spared := spare.count(func(c *Conn) bool { return c.isMemberOf(g) })
	g.mu.Lock()
	defer g.mu.Unlock()
	receivers = max(g.size-spared, 0)
	if receivers == 0 {
		return 0
	}
	sequence := g.head.Load()
	g.log = append(g.log, entry{frame, spare})
	g.head.Store(sequence + 1)
	g.w.backlog.add(frame.Len())
	for _, p := range g.parts {
		if !p.queued && len(p.members) > 0 {
			p.queued, p.next = true, sequence
			p.shard.push(p)
		}
	}
	return receivers
}

// Send gives a frame to those of some connections that are members, in order
// with what is broadcast, and returns how many they are. It writes to them
// before it returns: for a choice of many, a group of their own is better.
func (g *Group) Send(frame *Frame, only ...*Conn) (receivers int) {
	return newSet(only).count(func(c *Conn) bool { return c.sendIfMember(g, frame) })
}

func (g *Group) insert(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.parts[m.conn.shard]
	m.index, m.next = len(p.members), g.head.Load()
	p.members = append(p.members, m)
	g.size++
}

func (g *Group) remove(m *member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.parts[m.conn.shard]
	if p.lent {
		p.members, p.lent = slices.Clone(p.members), false
	}
	last := len(p.members) - 1
	moved := p.members[last]
	p.members[m.index], moved.index = moved, m.index
	p.members[last] = nil
	p.members = p.members[:last]
	g.size--
}

// take is called by the shard: the members, and a batch of what they have not
// been offered.
func (p *part) take() ([]*member, *batch) {
	g := p.group
	g.mu.Lock()
	defer g.mu.Unlock()
	p.lent = true
	first := g.head.Load() - uint64(len(g.log))
	return p.members, newBatch(p.next, g.log[p.next-first:])
}

// finish is called by the shard when the batch was offered to all. It is true if
// there is more, and the part stays queued then.
func (p *part) finish(b *batch) (more bool) {
	g := p.group
	g.mu.Lock()
	defer g.mu.Unlock()
	p.lent = false
	p.next = b.end()
	p.queued = p.next < g.head.Load()
	g.trim()
	return p.queued
}

// trim forgets the entries that every part has offered. g.mu is held.
func (g *Group) trim() {
	head := g.head.Load()
	low := head
	for _, p := range g.parts {
		if p.queued {
			low = min(low, p.next)
		}
	}
	done := g.log[:len(g.log)-int(head-low)]
	bytes := 0
	for _, e := range done {
		bytes += e.frame.Len()
	}
	g.w.backlog.release(len(done), bytes)
	clear(done)
	g.log = g.log[len(done):]
	if len(g.log) == 0 {
		g.log = nil
	}
}

// since returns what was broadcast from an entry on that is still in the log.
// The copy is the caller's: the log is cleared behind those who hold a part.
func (g *Group) since(next uint64) *batch {
	g.mu.Lock()
	defer g.mu.Unlock()
	first := g.head.Load() - uint64(len(g.log))
	return &batch{first: next, entries: slices.Clone(g.log[next-first:]), excepts: true}
}
