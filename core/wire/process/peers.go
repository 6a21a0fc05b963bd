package process

import (
	"context"

	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
)

// join makes the instance known to its other generations.
func (i *Instance) join(registry *peers.Registry) {
	if registry == nil {
		return
	}
	i.member.Store(registry.Join(i.name, peerReceiver{i}))
}

// leave is the inverse of join.
func (i *Instance) leave() {
	if member := i.member.Swap(nil); member != nil {
		member.Leave()
	}
}

// broadcast sends messages of the instance to its other generations. Before it
// has joined them there are none.
func (i *Instance) broadcast(ctx context.Context, messages [][]byte) error {
	if member := i.member.Load(); member != nil {
		return member.Broadcast(ctx, messages)
	}
	return nil
}

// peerReceiver lets the other generations of an instance reach it.
type peerReceiver struct{ instance *Instance }

// Receive implements peers.Receiver.
func (p peerReceiver) Receive(ctx context.Context, messages []peers.Message) error {
	request := &bridgev1.FromPeerRequest{Instance: p.instance.name}
	for _, m := range messages {
		request.Messages = append(request.Messages, &bridgev1.PeerMessage{Peer: m.Peer, Data: m.Data})
	}
	_, err := p.instance.process.adapter.FromPeer(ctx, request)
	return p.instance.wrap("tell", err)
}

// Changed implements peers.Receiver.
func (p peerReceiver) Changed(ctx context.Context, list []string) error {
	_, err := p.instance.process.adapter.PeersChanged(ctx, &bridgev1.PeersChangedRequest{Instance: p.instance.name, Peers: list})
	return p.instance.wrap("tell", err)
}
