package wamp

import (
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/pushbridge/bridge/core/kit/settings"
)

// checkLogins reports what is wrong with how clients log in.
func (c *Config) checkLogins(a *Auth, report *settings.Report, at ...any) {
	path := func(more ...any) string { return settings.Path(slices.Concat(at, more)...) }
	if a.Method != "" || a.AuthID != "" || a.Secret != "" || a.PrivateKey != "" {
		report.Error(path(), "method, authid, secret and private_key are for mode client; a router has anonymous, ticket, wampcra, cryptosign")
	}
	if a.Anonymous == nil && a.Ticket == nil && a.WAMPCRA == nil && a.Cryptosign == nil {
		report.Error(path(), "no method is offered: name one of anonymous, ticket, wampcra, cryptosign, or leave auth out")
	}
	if a.Anonymous != nil {
		checkType(a.Anonymous.Type, report, path("anonymous", "type"))
	}
	if a.Ticket != nil {
		c.checkTickets(a.Ticket, report, path)
	}
	if a.WAMPCRA != nil {
		checkType(a.WAMPCRA.Type, report, path("wampcra", "type"))
		for id, user := range a.WAMPCRA.Users {
			if id == "" || user.Secret == "" || user.Role == "" {
				report.Error(path("wampcra", "users", id), "a user needs an authid, a secret and a role")
			}
		}
	}
	if a.Cryptosign != nil {
		checkType(a.Cryptosign.Type, report, path("cryptosign", "type"))
		for id, principal := range a.Cryptosign.Principals {
			principal.check(id, report, path("cryptosign", "principals", id))
		}
	}
}

func (c *Config) checkTickets(t *TicketAuth, report *settings.Report, path func(...any) string) {
	if t.Static == nil {
		report.Error(path("ticket"), "a router needs principals with their tickets: {principals: {<authid>: {ticket, role}}}")
		return
	}
	checkType(t.Static.Type, report, path("ticket", "type"))
	if c.plaintext() && !t.Static.AllowPlaintext {
		report.Error(path("ticket"), "tickets would cross the network in the clear: add tls, listen on loopback, or, behind a proxy that has TLS, set allow_plaintext")
	}
	for id, principal := range t.Static.Principals {
		if id == "" || principal.Ticket == "" || principal.Role == "" {
			report.Error(path("ticket", "principals", id), "a principal needs an authid, a ticket and a role")
		}
	}
}

// checkType refuses the types that ask a procedure.
func checkType(kind string, report *settings.Report, path string) {
	switch kind {
	case "", "static":
	case "dynamic", "function":
		report.Error(path, "the type %s, which asks a procedure, does not exist here: list the users with type static", kind)
	default:
		report.Error(path, "%q is no type: want static", kind)
	}
}

func (p CryptosignPrincipal) check(id string, report *settings.Report, path string) {
	if id == "" || p.Role == "" {
		report.Error(path, "a principal needs an authid and a role")
	}
	for i, key := range p.AuthorizedKeys {
		if raw, err := hex.DecodeString(key); err != nil || len(raw) != 32 {
			report.Error(path+settings.Path("authorized_keys", i), "a public key is 32 bytes in hexadecimal")
		}
	}
}

// checkLogin reports what is wrong with how the bridge logs in.
func (a *Auth) checkLogin(report *settings.Report, target *url.URL) {
	if a.Anonymous != nil || a.WAMPCRA != nil || a.Cryptosign != nil || a.Ticket != nil && a.Ticket.Static != nil {
		report.Error("/auth", "lists of users are for mode router; a client has method, authid and a secret")
		return
	}
	given := map[string]bool{
		"ticket": a.Ticket != nil && a.Ticket.Ticket != "", "secret": a.Secret != "", "private_key": a.PrivateKey != "",
	}
	needed := map[string]string{"ticket": "ticket", "wampcra": "secret", "cryptosign": "private_key"}[a.Method]
	for _, key := range []string{"ticket", "secret", "private_key"} {
		switch {
		case key == needed && !given[key]:
			report.Error("/auth/"+key, "the method %s needs %s", a.Method, key)
		case key != needed && given[key]:
			report.Error("/auth/"+key, "the method %s has no use for %s", a.method(), key)
		}
	}
	switch a.method() {
	case "anonymous", "cryptosign":
	case "ticket", "wampcra":
		if a.AuthID == "" {
			report.Error("/auth/authid", "the method %s needs an authid", a.Method)
		}
	default:
		report.Error("/auth/method", "there is no method %q: want anonymous, ticket, wampcra or cryptosign", a.Method)
	}
	if a.Method == "cryptosign" && a.PrivateKey != "" {
		if seed, err := hex.DecodeString(strings.TrimSpace(string(a.PrivateKey))); err != nil || len(seed) != 32 {
			report.Error("/auth/private_key", "a private key is 32 bytes in hexadecimal")
		}
	}
	if a.Method == "ticket" && target != nil && target.Scheme == "ws" && !isLoopback(target.Hostname()) {
		report.Warning("/auth/ticket", "the ticket crosses the network in the clear: use wss://")
	}
}

// method is the client's method.
func (a *Auth) method() string {
	if a == nil || a.Method == "" {
		return "anonymous"
	}
	return a.Method
}

// grantedRoles are the roles that clients can get.
func (a *Auth) grantedRoles() []string {
	var roles []string
	if a.Anonymous != nil {
		roles = append(roles, a.Anonymous.role())
	}
	if a.Ticket != nil && a.Ticket.Static != nil {
		for _, p := range a.Ticket.Static.Principals {
			roles = append(roles, p.Role)
		}
	}
	if a.WAMPCRA != nil {
		for _, u := range a.WAMPCRA.Users {
			roles = append(roles, u.Role)
		}
	}
	if a.Cryptosign != nil {
		for _, p := range a.Cryptosign.Principals {
			roles = append(roles, p.Role)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

func (a *AnonymousAuth) role() string {
	if a.Role == "" {
		return "anonymous"
	}
	return a.Role
}
