package wsout

import "sync"

// shard is one goroutine that writes to its share of the connections.
type shard struct {
	index  int
	direct *direct
	round  *round // of the batch that is being offered; nil if nobody is waited for

	mu     sync.Mutex
	some   sync.Cond
	dirty  []*part // those with something to do, each once, first come first served
	closed bool
}

func newShard(index int) *shard {
	s := &shard{index: index, direct: newDirect()}
	s.some.L = &s.mu
	return s
}

// push queues a part, which is not queued.
func (s *shard) push(p *part) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirty = append(s.dirty, p)
	s.some.Signal()
}

// pop waits for a part; nil when the shard is closed.
func (s *shard) pop() *part {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.dirty) == 0 && !s.closed {
		s.some.Wait()
	}
	if s.closed {
		return nil
	}
	p := s.dirty[0]
	s.dirty[0] = nil
	s.dirty = s.dirty[1:]
	return p
}

func (s *shard) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.some.Signal()
}

// run writes until the shard is closed. What a group gets while it is written
// to, or while others are, is written together at its next turn.
func (s *shard) run() {
	for {
		p := s.pop()
		if p == nil {
			return
		}
		members, batch := p.take()
		for _, m := range members {
			m.conn.deliver(m, batch, s)
		}
		if s.round != nil {
			s.round.wait()
			s.round = nil
		}
		if p.finish(batch) {
			s.push(p)
		}
	}
}
