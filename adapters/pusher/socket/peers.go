package socket

import (
	"context"

	"github.com/pushbridge/bridge/adapters/pusher/socket/peer"
)

// peersChanged looks who is there.
func (g *generations) peersChanged() {
	g.seeing.Lock()
	defer g.seeing.Unlock()
	g.mu.Lock()
	there := make(map[string]bool)
	came := false
	for _, name := range g.host.Peers().List() {
		there[name] = true
		if g.others[name] == nil {
			g.others[name] = new(other)
		}
		came = came || !g.others[name].seen
		g.others[name].seen = true
	}
	var gone []string
	for name := range g.here() {
		if !there[name] {
			gone = append(gone, name)
			delete(g.others, name)
		}
	}
	g.greet = g.greet || came
	g.mu.Unlock()
	for _, e := range g.apps().byID {
		if came || len(there) == 0 {
			e.space.Share(len(there) > 0)
		}
		for _, name := range gone {
			e.space.Forget(name)
		}
	}
	g.news()
	g.signalTold()
}

func (g *generations) signalTold() {
	select {
	case g.told <- struct{}{}:
	default:
	}
}

// hear takes a message of another generation.
func (g *generations) hear(from string, data []byte) {
	m, err := peer.Decode(data)
	if err != nil {
		g.host.Log().Warn("the other generation of this instance cannot be understood", "error", err)
		return
	}
	current := g.apps()
	for _, told := range m.News {
		if e := current.entry(told.App); e != nil {
			e.space.Hear(from, told)
		}
	}
	if m.Hello != nil || m.Complete {
		g.note(from, m)
	}
}

// note keeps what another generation says of itself.
func (g *generations) note(from string, m peer.Message) {
	g.mu.Lock()
	o := g.others[from]
	if o == nil {
		o = new(other)
		g.others[from] = o
	}
	if m.Hello != nil {
		o.hello, g.reload = m.Hello, true
	}
	o.complete = o.complete || m.Complete
	g.mu.Unlock()
	g.news()
	g.signalTold()
}

// FromPeer implements core.PeerReceiver.
func (i *Instance) FromPeer(_ context.Context, from string, message []byte) {
	i.generations.hear(from, message)
}

// PeersChanged implements core.PeerReceiver.
func (i *Instance) PeersChanged(context.Context) { i.generations.peersChanged() }
