//go:build linux

package swarm

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
)

// Presence is a presence channel of Pusher that sockets join.
type Presence struct {
	Channel     string
	Key, Secret string // of the app
	Members     int    // different users; sockets belong to them in turn
}

// socketID is how a server tells a client its id.
var socketID = regexp.MustCompile(`\\"socket_id\\":\\"([0-9.]+)\\"`)

// greet takes the first message of a socket. When all have one, all join at once.
func (p *player) greet(s *socket, payload []byte) error {
	found := socketID.FindSubmatch(payload)
	if found == nil {
		return fmt.Errorf("the server greets with %q", payload)
	}
	s.id = string(found[1])
	if p.greeted++; p.greeted < p.order.Sockets {
		return nil
	}
	p.joining = time.Now()
	p.report.Connected = p.joining.Sub(p.began)
	return p.join(p.order.Presence)
}

// join subscribes the sockets in the order in which they were opened.
func (p *player) join(to *Presence) error {
	secret := signature.NewSecret(to.Secret)
	for i, fd := range slices.Sorted(maps.Keys(p.sockets)) {
		user := i % to.Members
		member := fmt.Sprintf(`{"user_id":"user-%d","user_info":{"name":"User %d"}}`, user, user)
		message, err := json.Marshal(map[string]any{"event": "pusher:subscribe", "data": map[string]string{
			"channel": to.Channel, "channel_data": member,
			"auth": to.Key + ":" + secret.SignChannel(p.sockets[fd].id, to.Channel, member),
		}})
		if err != nil {
			return err
		}
		if err := p.write(int(fd), 0x81, message); err != nil {
			return fmt.Errorf("join: %w", err)
		}
	}
	return nil
}
