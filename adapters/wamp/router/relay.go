package router

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// originOption marks a client's publication that is to be relayed, between the
// guard and the core. Its value is the connection, which no client can forge.
const originOption = "bridge.origin"

// relayed is a publication that subscribers of several routers get. In each of
// them it travels through the core as the only argument, in place of what it
// holds, so that all receivers are told the same publication id and publisher.
// It does not change.
type relayed struct {
	publication wamp.ID
	details     wamp.Dict // of the EVENT, besides what the core knows
	args        wamp.List
	kwargs      wamp.Dict
}

// Relay makes the router hand what its clients publish to send, from now on, for
// the routers of its peers; nil ends it. Only what the realm lets them publish is
// handed over. send is called in the order of each client's publications and holds
// that client up while it blocks.
//
// Calls are not carried between routers, nor are testaments: the core publishes
// them in nobody's name.
func (r *Router) Relay(send func(message []byte)) {
	if send == nil {
		r.relay.Store(nil)
		return
	}
	r.relay.Store(&send)
}

// mark prepares a client's publication to be relayed if it passes the checks.
func (c *connection) mark(m *wamp.Publish) {
	if c.router.relay.Load() == nil {
		return
	}
	if m.Options == nil {
		m.Options = wamp.Dict{}
	}
	m.Options[originOption] = c
}

// relayMarked relays a publication that has passed the checks. The core calls it
// right before it publishes.
func relayMarked(m *wamp.Publish) {
	c, marked := m.Options[originOption].(*connection)
	if !marked {
		return
	}
	delete(m.Options, originOption)
	send, g := c.router.relay.Load(), c.grant.Load()
	if send == nil || g == nil {
		return
	}
	shared := &relayed{publication: wamp.GlobalID(), args: m.Arguments, kwargs: m.ArgumentsKw}
	data, err := encodeRelayed(m, shared.publication, g)
	if err != nil {
		c.log().Warn("a publication cannot be handed to the other generation of this router", "topic", m.Topic, "error", err)
		return
	}
	(*send)(data)
	if m.Options[wamp.OptAcknowledge] == true {
		c.acknowledged.note(m.Request, shared.publication)
	}
	m.Arguments, m.ArgumentsKw = wamp.List{shared}, nil
}

// relayCodec is how publications travel between routers: it keeps all values that
// clients can send.
var relayCodec = codec.Named("cbor")

// The options of a relayed PUBLISH, besides the lists of receivers.
const (
	relayRealm       = "realm"
	relayPublication = "publication"
	relayDetails     = "details"
)

// encodeRelayed makes the message for the peers.
func encodeRelayed(m *wamp.Publish, id wamp.ID, g *grant) ([]byte, error) {
	details := wamp.Dict{}
	for _, name := range []string{wamp.OptPPTScheme, wamp.OptPPTSerializer, wamp.OptPPTCipher, wamp.OptPPTKeyId} {
		if value, present := m.Options[name]; present {
			details[name] = value
		}
	}
	if m.Options[wamp.OptDiscloseMe] == true {
		details["publisher"], details["publisher_authid"], details["publisher_authrole"] = g.session, g.authID, g.role
	}
	options := wamp.Dict{relayRealm: g.realm, relayPublication: id, relayDetails: details}
	for name, value := range m.Options {
		if isReceivers(name) {
			options[name] = value
		}
	}
	return relayCodec.Encode(&wamp.Publish{
		Request: 1, Options: options, Topic: m.Topic, Arguments: m.Arguments, ArgumentsKw: m.ArgumentsKw,
	})
}

// isReceivers reports whether an option is one of the lists of receivers.
// exclude_me is none: the publisher is not here.
func isReceivers(option string) bool {
	return strings.HasPrefix(option, "eligible") || strings.HasPrefix(option, "exclude") && option != wamp.OptExcludeMe
}

// Relayed reads a peer's message: a publication for one of the bridge's own
// sessions in the realm, which the peer's router has allowed.
func Relayed(message []byte) (realm string, publish *wamp.Publish, err error) {
	decoded, err := relayCodec.Decode(message)
	if err != nil {
		return "", nil, fmt.Errorf("read a relayed publication: %w", err)
	}
	m, ok := decoded.(*wamp.Publish)
	if !ok {
		return "", nil, errors.New("a peer sent " + decoded.MessageType().String())
	}
	shared := &relayed{args: m.Arguments, kwargs: m.ArgumentsKw}
	realm, _ = wamp.AsString(m.Options[relayRealm])
	shared.publication, _ = wamp.AsID(m.Options[relayPublication])
	shared.details, _ = wamp.AsDict(m.Options[relayDetails])
	options := wamp.Dict{wamp.OptAcknowledge: true}
	for name, value := range m.Options {
		if isReceivers(name) {
			options[name] = value
		}
	}
	return realm, &wamp.Publish{Options: options, Topic: m.Topic, Arguments: wamp.List{shared}}, nil
}

// Unwrap makes an EVENT of the core what its receiver is to see. Events that the
// bridge's own sessions get pass it too.
func Unwrap(event *wamp.Event) {
	if len(event.Arguments) != 1 {
		return
	}
	shared, ok := event.Arguments[0].(*relayed)
	if !ok {
		return
	}
	event.Publication, event.Arguments, event.ArgumentsKw = shared.publication, shared.args, shared.kwargs
	for name, value := range shared.details {
		event.Details[name] = value // the copy is ours; see peer.IsLocal
	}
}

// acknowledged are the publication ids of relayed publications whose PUBLISHED is
// under way, by request.
type acknowledged struct {
	mu  sync.Mutex
	ids map[wamp.ID]wamp.ID
}

func (a *acknowledged) note(request, publication wamp.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ids == nil {
		a.ids = make(map[wamp.ID]wamp.ID)
	}
	a.ids[request] = publication
}

// restore gives the message the id that the receivers are told.
func (a *acknowledged) restore(m *wamp.Published) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if id, known := a.ids[m.Request]; known {
		m.Publication = id
		delete(a.ids, m.Request)
	}
}
