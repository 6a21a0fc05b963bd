package inprocess

import (
	"context"
	"slices"
	"sync"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/peers"
)

// peerGroup is core.Peers for one instance in this process, and the way of its
// peers to it.
type peerGroup struct {
	instance *Instance

	mu     sync.Mutex // held while joining: the peers may be told of before Join returns
	joined *peers.Member
}

func (p *peerGroup) join(registry *peers.Registry, i *Instance) {
	p.instance = i
	if registry != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.joined = registry.Join(i.name, p)
	}
}

func (p *peerGroup) leave() {
	p.mu.Lock()
	member := p.joined
	p.joined = nil
	p.mu.Unlock()
	if member != nil {
		member.Leave()
	}
}

// member is nil before and after the instance's life.
func (p *peerGroup) member() *peers.Member {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.joined
}

// List implements core.Peers.
func (p *peerGroup) List() []string {
	if member := p.member(); member != nil {
		return member.List()
	}
	return nil
}

// Broadcast implements core.Peers.
func (p *peerGroup) Broadcast(ctx context.Context, message []byte) error {
	if member := p.member(); member != nil {
		return member.Broadcast(ctx, [][]byte{slices.Clone(message)})
	}
	return nil
}

// Receive implements peers.Receiver.
func (p *peerGroup) Receive(_ context.Context, messages []peers.Message) error {
	if receiver, ok := p.instance.adapted.(core.PeerReceiver); ok {
		for _, m := range messages {
			receiver.FromPeer(p.instance.ctx, m.Peer, slices.Clone(m.Data))
		}
	}
	return nil
}

// Changed implements peers.Receiver.
func (p *peerGroup) Changed(context.Context, []string) error {
	if receiver, ok := p.instance.adapted.(core.PeerReceiver); ok {
		receiver.PeersChanged(p.instance.ctx)
	}
	return nil
}
