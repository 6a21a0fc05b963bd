package wire

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// Limits on one instance's messages to its peers that have not left yet.
const (
	broadcastMessages = 1024
	broadcastBytes    = 4 << 20 // one larger message passes alone
)

// peerGroup is core.Peers for one instance in this process.
type peerGroup struct {
	ctx    context.Context // the instance's
	name   string
	client bridgev1.HostClient

	mu      sync.Mutex
	list    []string
	queue   [][]byte
	bytes   int
	sending bool
	failed  error
	room    chan struct{} // closed and replaced when the queue was taken
	work    sync.WaitGroup
}

func newPeerGroup(ctx context.Context, name string, client bridgev1.HostClient) *peerGroup {
	return &peerGroup{ctx: ctx, name: name, client: client, room: make(chan struct{})}
}

// List implements core.Peers.
func (p *peerGroup) List() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.list)
}

func (p *peerGroup) set(list []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = list
}

// Broadcast implements core.Peers. Messages that are broadcast while others are
// on their way leave together.
func (p *peerGroup) Broadcast(ctx context.Context, message []byte) error {
	for {
		p.mu.Lock()
		if len(p.list) == 0 {
			p.mu.Unlock()
			return nil
		}
		if err := p.failed; err != nil {
			p.failed = nil
			p.mu.Unlock()
			return fmt.Errorf("broadcast of %s: %w", p.name, err)
		}
		if len(p.queue) == 0 || len(p.queue) < broadcastMessages && p.bytes+len(message) <= broadcastBytes {
			p.queue = append(p.queue, slices.Clone(message))
			p.bytes += len(message)
			if !p.sending {
				p.sending = true
				p.work.Go(p.send)
			}
			p.mu.Unlock()
			return nil
		}
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send sends what is queued until there is nothing; then its goroutine ends.
func (p *peerGroup) send() {
	for {
		messages := p.take()
		if messages == nil {
			return
		}
		_, err := p.client.Broadcast(p.ctx, &bridgev1.BroadcastRequest{Instance: p.name, Messages: messages})
		if err != nil && p.ctx.Err() == nil {
			p.mu.Lock()
			p.failed = stream.FromStatus(err)
			p.mu.Unlock()
		}
	}
}

func (p *peerGroup) take() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	messages := p.queue
	p.queue, p.bytes = nil, 0
	close(p.room)
	p.room = make(chan struct{})
	p.sending = messages != nil
	return messages
}

// close waits for the sending goroutine; the instance's context has ended.
func (p *peerGroup) close() { p.work.Wait() }
