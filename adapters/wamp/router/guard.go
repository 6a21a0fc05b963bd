package router

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
)

// Incoming implements peer.Guard. It answers what the core would let pass or
// answer wrongly, and takes out of messages what the core does not survive.
func (c *connection) Incoming(msg wamp.Message) (pass, answer wamp.Message, err error) {
	if hello, ok := msg.(*wamp.Hello); ok && !c.greeted.Load() {
		c.greet(hello)
		return hello, nil, nil
	}
	if err := checkPassthru(msg); err != nil {
		return nil, nil, err
	}
	switch m := msg.(type) {
	case *wamp.Publish:
		time.Sleep(c.publishes.Reserve().Delay()) // the reader waits, so the sender does
		if reason := c.refusedURI(string(m.Topic), true); reason != "" {
			return nil, refusePublish(m, reason), nil
		}
		c.mark(m)
	case *wamp.Subscribe:
		return c.subscribe(m)
	case *wamp.Unsubscribe:
		c.subscriptions.left(m.Subscription)
	case *wamp.Call:
		return c.call(m)
	case *wamp.Register:
		return c.register(m)
	}
	return msg, nil, nil
}

// greet takes the first HELLO and leaves in it what the core needs to know: it
// keeps the details for the life of the session.
func (c *connection) greet(hello *wamp.Hello) {
	c.realm = c.router.realms[string(hello.Realm)]
	roles, _ := wamp.AsDict(hello.Details["roles"])
	kept := wamp.Dict{}
	for _, role := range []string{wamp.RolePublisher, wamp.RoleSubscriber, wamp.RoleCaller, wamp.RoleCallee} {
		if _, announced := roles[role]; announced {
			kept[role] = wamp.Dict{"features": features(wamp.DictChild(roles, role))}
		}
	}
	subscriber := wamp.DictChild(kept, wamp.RoleSubscriber)
	c.identifies = wamp.DictChild(subscriber, "features")[wamp.FeaturePubIdent] == true
	details := wamp.Dict{"roles": kept}
	for _, name := range []string{"authmethods", "authid"} {
		if value, present := hello.Details[name]; present {
			details[name] = value
		}
	}
	extra, _ := wamp.AsDict(hello.Details["authextra"])
	if key, _ := extra["pubkey"].(string); len(key) == 2*ed25519.PublicKeySize {
		details["authextra"] = wamp.Dict{"pubkey": key}
	}
	hello.Details = details
	c.greeted.Store(true)
}

// maxFeatures is more than there are.
const maxFeatures = 64

// features are the announced features that are true.
func features(role wamp.Dict) wamp.Dict {
	announced := wamp.Dict{}
	for name, value := range wamp.DictChild(role, "features") {
		if value == true && len(announced) < maxFeatures {
			announced[name] = true
		}
	}
	return announced
}

// checkPassthru wants the options of payload passthru to be texts: the core
// takes it for granted.
func checkPassthru(msg wamp.Message) error {
	var options wamp.Dict
	switch m := msg.(type) {
	case *wamp.Publish:
		options = m.Options
	case *wamp.Call:
		options = m.Options
	case *wamp.Yield:
		options = m.Options
	}
	for _, name := range []string{wamp.OptPPTScheme, wamp.OptPPTSerializer, wamp.OptPPTCipher, wamp.OptPPTKeyId} {
		if value, present := options[name]; present {
			if _, ok := value.(string); !ok {
				return fmt.Errorf("%s: the option %s is no string", msg.MessageType(), name)
			}
		}
	}
	return nil
}

// refusedURI says why a URI is refused whatever the role may do; "" if it is
// not.
func (c *connection) refusedURI(uri string, mayBeReserved bool) string {
	switch {
	case len(uri) > c.router.limits.Load().MaxURI:
		return fmt.Sprintf("the URI is longer than %d bytes", c.router.limits.Load().MaxURI)
	case mayBeReserved && Reserved(uri):
		return "the URI is reserved"
	}
	return ""
}

// refusePublish answers a publication only if its sender wants to know.
func refusePublish(m *wamp.Publish, reason string) wamp.Message {
	if m.Options[wamp.OptAcknowledge] != true {
		return nil
	}
	return refusal(wamp.PUBLISH, m.Request, wamp.ErrInvalidURI, reason)
}

func refusal(kind wamp.MessageType, request wamp.ID, uri wamp.URI, text string) wamp.Message {
	return &wamp.Error{Type: kind, Request: request, Details: wamp.Dict{}, Error: uri, Arguments: wamp.List{text}}
}

func (c *connection) subscribe(m *wamp.Subscribe) (pass, answer wamp.Message, err error) {
	switch reason := c.refusedURI(string(m.Topic), false); {
	case reason != "":
		return nil, refusal(wamp.SUBSCRIBE, m.Request, wamp.ErrInvalidURI, reason), nil
	case !validMatch(m.Options):
		return nil, refusal(wamp.SUBSCRIBE, m.Request, wamp.ErrInvalidArgument, "unknown match"), nil
	case !c.subscriptions.enter(m, c.router.limits.Load().MaxSubscriptions):
		return nil, refusal(wamp.SUBSCRIBE, m.Request, wamp.ErrInvalidArgument, "too many subscriptions"), nil
	}
	return m, nil, nil
}

// validMatch reports whether the core and we read the match option alike.
func validMatch(options wamp.Dict) bool {
	value, present := options[wamp.OptMatch]
	if !present {
		return true
	}
	name, isText := value.(string)
	_, known := permission.ParseMatch(name)
	return isText && known
}

// validInvoke reports whether the core survives the invocation policy.
func validInvoke(options wamp.Dict) bool {
	switch options[wamp.OptInvoke] {
	case nil, "", wamp.InvokeSingle, wamp.InvokeRoundRobin, wamp.InvokeRandom, wamp.InvokeFirst, wamp.InvokeLast:
		return true
	}
	return false
}

// register takes out the wish to know every caller: whether a caller is
// disclosed is for the caller's rule to say.
func (c *connection) register(m *wamp.Register) (pass, answer wamp.Message, err error) {
	switch reason := c.refusedURI(string(m.Procedure), true); {
	case reason != "":
		return nil, refusal(wamp.REGISTER, m.Request, wamp.ErrInvalidURI, reason), nil
	case !validMatch(m.Options):
		return nil, refusal(wamp.REGISTER, m.Request, wamp.ErrInvalidArgument, "unknown match"), nil
	case !validInvoke(m.Options):
		return nil, refusal(wamp.REGISTER, m.Request, wamp.ErrInvalidArgument, "unknown invocation policy"), nil
	}
	delete(m.Options, wamp.OptDiscloseCaller)
	return m, nil, nil
}

// call takes out the timeout: the core's timers outlive it and end the process
// when they fire. Callers cancel.
func (c *connection) call(m *wamp.Call) (pass, answer wamp.Message, err error) {
	if reason := c.refusedURI(string(m.Procedure), false); reason != "" {
		return nil, refusal(wamp.CALL, m.Request, wamp.ErrInvalidURI, reason), nil
	}
	delete(m.Options, wamp.OptTimeout)
	if topic, isTestament := testamentTopic(m); isTestament {
		if reason := c.refusedURI(topic, true); reason != "" {
			return nil, refusal(wamp.CALL, m.Request, wamp.ErrInvalidURI, reason), nil
		}
		cleanTestament(m)
	}
	return m, nil, nil
}

// testamentTopic is the topic of a testament: a publication that the core makes
// when the session is gone.
func testamentTopic(msg wamp.Message) (topic string, isTestament bool) {
	call, isCall := msg.(*wamp.Call)
	if !isCall || call.Procedure != wamp.MetaProcSessionAddTestament {
		return "", false
	}
	if len(call.Arguments) > 0 {
		topic, _ = call.Arguments[0].(string)
	}
	return topic, true
}

// cleanTestament leaves the options that say who receives it. The core publishes
// testaments in the name of a session of its own, which other options end.
func cleanTestament(call *wamp.Call) {
	options, _ := wamp.AsDict(call.ArgumentsKw["publish_options"])
	for name := range options {
		if !strings.HasPrefix(name, "exclude") && !strings.HasPrefix(name, "eligible") {
			delete(options, name)
		}
	}
	if options != nil {
		call.ArgumentsKw["publish_options"] = options
	}
}

// Outgoing implements peer.Guard.
func (c *connection) Outgoing(msg wamp.Message) wamp.Message {
	switch m := msg.(type) {
	case *wamp.Event:
		Unwrap(m)
		if c.delivered != nil {
			c.delivered.Inc()
		}
		if !c.identifies {
			delete(m.Details, "publisher") // the copy is ours; see peer.IsLocal
			delete(m.Details, "publisher_authid")
			delete(m.Details, "publisher_authrole")
		}
	case *wamp.Published:
		c.acknowledged.restore(m)
	case *wamp.Welcome:
		return c.welcome(m)
	case *wamp.Abort:
		c.aborted(m)
	case *wamp.Subscribed:
		c.subscriptions.joined(m)
	case *wamp.Error:
		if m.Type == wamp.SUBSCRIBE {
			c.subscriptions.refused(m.Request)
		}
	}
	return msg
}

// Dropped implements peer.Guard.
func (c *connection) Dropped() {
	if c.realm != nil {
		c.router.options.Metrics.Drops.WithLabelValues(c.realm.name).Inc()
	}
}

// Ended implements peer.Guard.
func (c *connection) Ended(end peer.End) {
	counts := c.router.options.Metrics
	if end.Slow && c.realm != nil {
		counts.Evictions.WithLabelValues(c.realm.name).Inc()
	}
	if end.Code == peer.CloseProtocolError {
		counts.Aborts.WithLabelValues(string(wamp.ErrProtocolViolation)).Inc()
	}
	c.log().Debug("session ended", "code", int(end.Code), "reason", end.Reason, "slow", end.Slow)
	c.router.forget(c) // last: Close waits for those that it knows
}
