package router

import (
	"slices"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"
)

// Topics are the topics of a realm that clients are subscribed to, and with how
// many connections. Only subscriptions to one topic count: of a pattern nobody can
// say what it occupies. The bridge's own sessions do not count.
func (r *Router) Topics(realm, prefix string) map[string]int {
	topics := make(map[string]int)
	for _, c := range r.joined(realm) {
		for _, topic := range c.subscriptions.topics() {
			if strings.HasPrefix(topic, prefix) && !Reserved(topic) {
				topics[topic]++
			}
		}
	}
	return topics
}

// Users are the authids of the connections subscribed to a topic, sorted. Those who
// logged in as nobody in particular are not among them.
func (r *Router) Users(realm, topic string) []string {
	users := []string{}
	for _, c := range r.joined(realm) {
		if g := c.grant.Load(); g.named && slices.Contains(c.subscriptions.topics(), topic) {
			users = append(users, g.authID)
		}
	}
	slices.Sort(users)
	return slices.Compact(users)
}

// closeKilled is the reason that the Session Meta API gives for a session that
// somebody else has ended.
const closeKilled = wamp.URI("wamp.close.killed")

// Disconnect ends all sessions of a realm whose authid it is, and returns how many
// there were.
func (r *Router) Disconnect(realm, authID string) int {
	n := 0
	for _, c := range r.joined(realm) {
		if c.grant.Load().authID == authID {
			c.peer.Load().Goodbye(closeKilled)
			n++
		}
	}
	return n
}

// Sessions is how many clients have joined, in all realms.
func (r *Router) Sessions() int {
	n := 0
	for _, c := range r.current() {
		if c.grant.Load() != nil {
			n++
		}
	}
	return n
}

// joined are the connections that have joined the realm.
func (r *Router) joined(realm string) []*connection {
	return slices.DeleteFunc(r.current(), func(c *connection) bool {
		g := c.grant.Load()
		return g == nil || g.realm != realm || c.peer.Load() == nil
	})
}
