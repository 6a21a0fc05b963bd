package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// join connects and opens a session within the time for it.
func (c *Client) join() (*session.Session, *peer.Peer, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.options.ConnectTimeout)
	defer cancel()
	s, p, err := c.open(ctx)
	result := "joined"
	if err != nil {
		result = "failed"
	}
	c.options.Metrics.Reconnects.WithLabelValues(result).Inc()
	return s, p, err
}

// open dials, joins and subscribes.
func (c *Client) open(ctx context.Context) (*session.Session, *peer.Peer, error) {
	conn, err := peer.Dial(ctx, c.options.Dial)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to %s: %w", c.options.Dial.URL, err)
	}
	p := peer.New(conn, c.options.Peer)
	s, err := session.Join(ctx, p, c.options.Hello)
	if err != nil {
		<-p.Finished()
		return nil, nil, fmt.Errorf("join realm %s: %w", c.options.Hello.Realm, err)
	}
	for _, sub := range c.options.Subscriptions {
		if _, err := s.Subscribe(ctx, sub.Topic, sub.Match, sub.Handler); err != nil {
			c.options.Log.Error("cannot subscribe at the outside router", "topic", sub.Topic, "match", sub.Match, "error", err)
		}
	}
	return s, p, nil
}

// isConfiguration reports whether trying again soon is of no use: only a change
// of a configuration, here or there, can turn the refusal.
func isConfiguration(err error) bool {
	var rejected *session.Rejected
	if errors.As(err, &rejected) {
		switch rejected.Reason {
		case wamp.ErrNoSuchRealm, wamp.ErrNoSuchRole, wamp.ErrAuthenticationFailed, wamp.ErrNotAuthorized, wamp.ErrProtocolViolation,
			"wamp.error.authentication_denied", "wamp.error.no_matching_auth_method", "wamp.error.no_auth_method":
			return true
		}
		return false
	}
	var dial *peer.DialError
	if errors.As(err, &dial) {
		return dial.Status == 401 || dial.Status == 403 || dial.Status == 404
	}
	return errors.Is(err, ErrCannotLogin)
}
