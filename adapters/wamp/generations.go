package wamp

import (
	"context"
	"time"

	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// relayPatience is how long a client that publishes is held up because another
// generation does not keep up.
const relayPatience = 5 * time.Second

// PeersChanged implements core.PeerReceiver: while there are other generations,
// they are told what clients publish here. What comes from the bus they get
// themselves.
func (i *routerInstance) PeersChanged(context.Context) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.host.Peers().List()) == 0 {
		i.router.Relay(nil)
		return
	}
	i.router.Relay(i.relay)
}

func (i *routerInstance) relay(message []byte) {
	ctx, cancel := context.WithTimeout(i.working, relayPatience)
	defer cancel()
	if err := i.host.Peers().Broadcast(ctx, message); err != nil {
		i.host.Log().Warn("another generation of this WAMP router missed a client's publication", "error", err)
	}
}

// FromPeer implements core.PeerReceiver: it publishes what a client of another
// generation has published.
func (i *routerInstance) FromPeer(ctx context.Context, _ string, message []byte) {
	if !i.deliveries.Enter(1) {
		return
	}
	defer i.deliveries.Leave(1)
	realm, publish, err := router.Relayed(message)
	if err == nil && i.router.Policy(realm) != nil { // else the other one has a realm that is new or gone
		err = i.sessions.publish(ctx, realm, "", publish, func(session.Outcome) {})
	}
	if err != nil {
		i.host.Log().Warn("a publication of another generation's client was lost", "realm", realm, "error", err)
	}
}
