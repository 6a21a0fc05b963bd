package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/gammazero/nexus/v3/wamp"
)

// Hello is how a session introduces itself.
type Hello struct {
	Realm wamp.URI
	// Method is the authentication method, with the AuthID and Extra that it
	// needs.
	Method string
	AuthID string
	Extra  wamp.Dict
	// Answer answers a challenge with a signature; nil if the method has none.
	Answer func(challenge *wamp.Challenge) (signature string, err error)
}

// Rejected is the router's refusal to open a session or to go on with it.
type Rejected struct {
	Reason  wamp.URI
	Message string
}

// Error implements error.
func (r *Rejected) Error() string {
	if r.Message == "" {
		return "the router says " + string(r.Reason)
	}
	return fmt.Sprintf("the router says %s: %s", r.Reason, r.Message)
}

// Join opens a session on the peer until ctx ends. The peer is the session's:
// on an error it is closed. A refusal is a *Rejected.
func Join(ctx context.Context, peer Peer, hello Hello) (*Session, error) {
	s := &Session{
		peer: peer, window: make(chan struct{}, Window),
		requests: make(map[wamp.ID]*request), handlers: make(map[wamp.ID]func(*wamp.Event)),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	welcome, err := s.join(ctx, hello)
	if err != nil {
		peer.Close()
		return nil, err
	}
	s.ID, s.Welcome = welcome.ID, welcome.Details
	go s.run()
	return s, nil
}

// join goes through the opening.
func (s *Session) join(ctx context.Context, hello Hello) (*wamp.Welcome, error) {
	if !s.sendUntil(ctx, hello.message()) {
		return nil, lostOr(ctx)
	}
	for {
		msg, err := s.receive(ctx)
		if err != nil {
			return nil, err
		}
		switch m := msg.(type) {
		case *wamp.Welcome:
			if _, broker := wamp.DictChild(m.Details, "roles")[wamp.RoleBroker]; !broker {
				return nil, errors.New("the router is no broker")
			}
			return m, nil
		case *wamp.Abort:
			return nil, &Rejected{Reason: m.Reason, Message: text(m.Details)}
		case *wamp.Challenge:
			if err := s.authenticate(ctx, hello, m); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("the router answered HELLO with %s", msg.MessageType())
		}
	}
}

func (h Hello) message() *wamp.Hello {
	details := wamp.Dict{
		"agent":       "bridge",
		"authmethods": wamp.List{h.Method},
		"roles": wamp.Dict{
			wamp.RolePublisher: wamp.Dict{"features": wamp.Dict{
				wamp.FeaturePubExclusion: true, wamp.FeaturePubIdent: true, wamp.FeatureSubBlackWhiteListing: true,
			}},
			wamp.RoleSubscriber: wamp.Dict{"features": wamp.Dict{
				wamp.FeaturePatternSub: true, wamp.FeaturePubIdent: true,
			}},
		},
	}
	if h.AuthID != "" {
		details["authid"] = h.AuthID
	}
	if h.Extra != nil {
		details["authextra"] = h.Extra
	}
	return &wamp.Hello{Realm: h.Realm, Details: details}
}

func (s *Session) authenticate(ctx context.Context, hello Hello, challenge *wamp.Challenge) error {
	if hello.Answer == nil || challenge.AuthMethod != hello.Method {
		return fmt.Errorf("the router asks for the authentication method %q, but %q is configured", challenge.AuthMethod, hello.Method)
	}
	signature, err := hello.Answer(challenge)
	if err != nil {
		return fmt.Errorf("answer the challenge of method %s: %w", hello.Method, err)
	}
	if !s.sendUntil(ctx, &wamp.Authenticate{Signature: signature, Extra: wamp.Dict{}}) {
		return lostOr(ctx)
	}
	return nil
}

func (s *Session) sendUntil(ctx context.Context, msg wamp.Message) bool {
	select {
	case s.peer.Send() <- msg:
		return true
	case <-s.peer.Done():
	case <-ctx.Done():
	}
	return false
}

func (s *Session) receive(ctx context.Context) (wamp.Message, error) {
	select {
	case msg, ok := <-s.peer.Recv():
		if !ok {
			return nil, ErrLost
		}
		return msg, nil
	case <-s.peer.Done():
		select {
		case msg, ok := <-s.peer.Recv(): // an ABORT that came right before
			if ok {
				return msg, nil
			}
		default:
		}
		return nil, ErrLost
	case <-ctx.Done():
		return nil, lostOr(ctx)
	}
}

// lostOr is why the opening ended: ctx, or the transport.
func lostOr(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the router did not open the session in time: %w", ctx.Err())
	}
	return ErrLost
}
