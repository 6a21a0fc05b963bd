// Package peers introduces the generations of an instance to one another and
// carries messages between them (core.Peers). It is the bridge's side; instances
// join it by name.
package peers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Receiver is an instance as its peers see it.
type Receiver interface {
	// Receive hands over messages, in order. It may block; an error means that
	// the instance is gone.
	Receive(ctx context.Context, messages []Message) error
	// Changed tells the names of the peers there are now.
	Changed(ctx context.Context, peers []string) error
}

// Message is one message with its sender.
type Message struct {
	Peer string
	Data []byte
}

// Limits on what waits for one receiver.
const (
	queueMessages = 1024
	queueBytes    = 4 << 20 // one larger message passes alone
)

// Registry knows who is at work under which name.
type Registry struct {
	mu     sync.Mutex
	joined uint64
	groups map[string][]*Member
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry { return &Registry{groups: make(map[string][]*Member)} }

// Member is one generation of an instance.
type Member struct {
	registry *Registry
	name, id string
	receiver Receiver

	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu      sync.Mutex
	queue   []Message
	bytes   int
	changed bool
	room    chan struct{} // closed and replaced when the queue was taken
	wake    chan struct{} // capacity 1: a worker that is told once looks at all there is
}

// Join makes an instance of that name a member. The caller calls Leave.
func (r *Registry) Join(name string, receiver Receiver) *Member {
	m := &Member{registry: r, name: name, receiver: receiver, room: make(chan struct{}), wake: make(chan struct{}, 1)}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	r.mu.Lock()
	r.joined++
	m.id = fmt.Sprintf("%s#%d", name, r.joined)
	r.groups[name] = append(r.groups[name], m)
	r.announce(name)
	r.mu.Unlock()
	m.work.Go(m.deliver)
	return m
}

// Leave takes the member out. What waits for it is dropped.
func (m *Member) Leave() {
	r := m.registry
	r.mu.Lock()
	r.groups[m.name] = slices.DeleteFunc(r.groups[m.name], func(other *Member) bool { return other == m })
	if len(r.groups[m.name]) == 0 {
		delete(r.groups, m.name)
	}
	r.announce(m.name)
	r.mu.Unlock()
	m.cancel()
	m.work.Wait()
}

// announce tells every member of a group that it has changed. A member that is
// alone, and has been, hears nothing.
func (r *Registry) announce(name string) {
	for _, m := range r.groups[name] {
		m.mu.Lock()
		m.changed = true
		m.mu.Unlock()
		m.signal()
	}
}

// List names the peers of the member.
func (m *Member) List() []string {
	var names []string
	for _, peer := range m.peers() {
		names = append(names, peer.id)
	}
	return names
}

func (m *Member) peers() []*Member {
	m.registry.mu.Lock()
	defer m.registry.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.registry.groups[m.name]), func(other *Member) bool { return other == m })
}

// Broadcast puts messages into the queue of each peer; it waits for room until ctx
// ends. The messages must not be changed afterwards.
func (m *Member) Broadcast(ctx context.Context, messages [][]byte) error {
	for _, peer := range m.peers() {
		for _, data := range messages {
			if err := peer.enqueue(ctx, Message{Peer: m.id, Data: data}); err != nil {
				return fmt.Errorf("broadcast to %s: %w", peer.id, err)
			}
		}
	}
	return nil
}

// enqueue waits for room. A peer that leaves meanwhile needs nothing any more.
func (m *Member) enqueue(ctx context.Context, message Message) error {
	for {
		m.mu.Lock()
		if len(m.queue) == 0 || len(m.queue) < queueMessages && m.bytes+len(message.Data) <= queueBytes {
			m.queue = append(m.queue, message)
			m.bytes += len(message.Data)
			m.mu.Unlock()
			m.signal()
			return nil
		}
		room := m.room
		m.mu.Unlock()
		select {
		case <-room:
		case <-m.ctx.Done():
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Member) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// deliver hands what waits to the receiver, one call at a time.
func (m *Member) deliver() {
	alone := true
	for {
		select {
		case <-m.wake:
		case <-m.ctx.Done():
			return
		}
		messages, changed := m.take()
		if changed {
			peers := m.List()
			if !alone || len(peers) > 0 {
				if errors.Is(m.receiver.Changed(m.ctx, peers), context.Canceled) {
					return
				}
			}
			alone = len(peers) == 0
		}
		if len(messages) > 0 && m.receiver.Receive(m.ctx, messages) != nil {
			m.cancel() // it is gone: nobody waits for room; whoever runs it makes it leave
			return
		}
	}
}

func (m *Member) take() (messages []Message, changed bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	messages, changed = m.queue, m.changed
	m.queue, m.bytes, m.changed = nil, 0, false
	close(m.room)
	m.room = make(chan struct{})
	return messages, changed
}
