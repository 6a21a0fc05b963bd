package router

import (
	"strings"

	"github.com/pushbridge/bridge/adapters/wamp/permission"
)

// Policy is what the roles of a realm may do. It does not change; a realm swaps
// it as a whole.
type Policy struct {
	Roles map[string]*permission.Set
	// RPC lets roles call and register as their rules say; without it nobody
	// does.
	RPC bool
}

// Allows reports whether the role may take the action on every URI that the
// pattern matches. An unknown role may do nothing.
func (p *Policy) Allows(role string, action permission.Action, pattern string, match permission.Match) bool {
	if !p.RPC && (action == permission.Call || action == permission.Register) {
		return false
	}
	return p.Roles[role].Allows(action, pattern, match)
}

// HasRole reports whether the role is defined.
func (p *Policy) HasRole(role string) bool {
	_, defined := p.Roles[role]
	return defined
}

// Reserved reports whether nobody but the router and the bridge itself may
// publish or register under the URI.
func Reserved(uri string) bool {
	return strings.HasPrefix(uri, "wamp.") || strings.HasPrefix(uri, "bridge.")
}
