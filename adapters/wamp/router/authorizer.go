package router

import (
	"sync/atomic"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
)

// authorizer asks the realm's policy about each request. It implements the
// core's interface, is called with the session locked, and never returns an
// error: its text would go to the client.
type authorizer struct {
	realm         string
	allowDisclose bool
	policy        *atomic.Pointer[Policy]
	metrics       *metrics.Metrics
}

// Authorize implements router.Authorizer. It also settles disclosure: in a realm
// that allows it, the role's rule decides whether receivers are told who
// publishes or calls, whatever the client asks for.
func (a *authorizer) Authorize(session *wamp.Session, msg wamp.Message) (bool, error) {
	action, uri, match, asks := question(msg)
	if !asks {
		return true, nil
	}
	if isOwn(session) {
		return true, nil
	}
	if offers := action == permission.Publish || action == permission.Register; offers && Reserved(uri) {
		return false, nil // the guard has answered clients; this is for whoever comes another way
	}
	role, _ := session.Details["authrole"].(string)
	policy := a.policy.Load()
	if !policy.Allows(role, action, uri, match) || !a.allowsTestament(policy, role, msg) {
		a.metrics.Denials.WithLabelValues(a.realm, action.String()).Inc()
		return false, nil
	}
	if a.allowDisclose {
		disclose(msg, policy.Roles[role].Decide(uri))
	}
	return true, nil
}

// isOwn reports whether the session is the bridge's own and speaks for no role.
// The core overwrites what a client claims of these two details.
func isOwn(session *wamp.Session) bool {
	return session.Details["authmethod"] == auth.MethodOwn && session.Details["authrole"] == ""
}

// question is what a message asks for; most messages ask for nothing.
func question(msg wamp.Message) (action permission.Action, uri string, match permission.Match, asks bool) {
	switch m := msg.(type) {
	case *wamp.Publish:
		return permission.Publish, string(m.Topic), permission.Exact, true
	case *wamp.Subscribe:
		return permission.Subscribe, string(m.Topic), matchOf(m.Options), true
	case *wamp.Call:
		return permission.Call, string(m.Procedure), permission.Exact, true
	case *wamp.Register:
		return permission.Register, string(m.Procedure), matchOf(m.Options), true
	}
	return 0, "", 0, false
}

// matchOf reads the match option as the core does; the guard has refused what
// is neither.
func matchOf(options wamp.Dict) permission.Match {
	name, _ := options[wamp.OptMatch].(string)
	match, _ := permission.ParseMatch(name)
	return match
}

// allowsTestament wants for a testament what its publication will need: the
// core publishes it without asking.
func (a *authorizer) allowsTestament(policy *Policy, role string, msg wamp.Message) bool {
	topic, isTestament := testamentTopic(msg)
	return !isTestament || policy.Allows(role, permission.Publish, topic, permission.Exact)
}

// disclose sets the option by the rule.
func disclose(msg wamp.Message, rule permission.Rule) {
	switch m := msg.(type) {
	case *wamp.Publish:
		m.Options = withOption(m.Options, wamp.OptDiscloseMe, rule.DisclosePublisher)
	case *wamp.Call:
		m.Options = withOption(m.Options, wamp.OptDiscloseMe, rule.DiscloseCaller)
	}
}

func withOption(options wamp.Dict, name string, value bool) wamp.Dict {
	if options == nil {
		options = wamp.Dict{}
	}
	options[name] = value
	return options
}
