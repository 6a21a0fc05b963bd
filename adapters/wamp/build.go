package wamp

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
)

// maxHelloTimeout is fixed in the router's core.
const maxHelloTimeout = 5 * time.Second

// rule is the permission as the permission package has it.
func (p Permission) rule() permission.Rule {
	r := permission.Rule{URI: p.URI}
	if p.Match == "" {
		r.URI, r.Match = permission.Starred(p.URI)
	} else {
		r.Match, _ = permission.ParseMatch(p.Match)
	}
	allow := Allow{Call: p.Call, Register: p.Register, Publish: p.Publish, Subscribe: p.Subscribe}
	if p.Allow != nil {
		allow = *p.Allow
	}
	r.Allow[permission.Call], r.Allow[permission.Register] = allow.Call, allow.Register
	r.Allow[permission.Publish], r.Allow[permission.Subscribe] = allow.Publish, allow.Subscribe
	if p.Disclose != nil {
		r.DiscloseCaller, r.DisclosePublisher = p.Disclose.Caller, p.Disclose.Publisher
	}
	return r
}

// policy is what the roles may do. rpc nil means: if a rule allows it.
func policy(roles []Role, rpc *bool) *router.Policy {
	made := &router.Policy{Roles: make(map[string]*permission.Set)}
	for _, role := range roles {
		rules := make([]permission.Rule, len(role.Permissions))
		for i, p := range role.Permissions {
			rules[i] = p.rule()
			made.RPC = made.RPC || rules[i].Allow[permission.Call] || rules[i].Allow[permission.Register]
		}
		made.Roles[role.Name] = permission.NewSet(rules)
	}
	if rpc != nil {
		made.RPC = *rpc
	}
	return made
}

// authOf is how clients log in to the realm: its own way, the instance's, or as
// role anonymous.
func (c *Config) authOf(realm *Realm) *Auth {
	return cmp.Or(realm.Auth, c.Auth, &Auth{Anonymous: &AnonymousAuth{}})
}

// directory is who may log in, to be prepared.
func (a *Auth) directory() *auth.Directory {
	d := &auth.Directory{}
	if a.Anonymous != nil {
		d.Anonymous = &auth.Anonymous{Role: a.Anonymous.role(), AuthID: a.Anonymous.AuthID}
	}
	if a.Ticket != nil {
		d.Ticket = make(map[string]auth.TicketPrincipal)
		for id, p := range a.Ticket.Static.Principals {
			d.Ticket[id] = auth.TicketPrincipal{Ticket: string(p.Ticket), Role: p.Role}
		}
	}
	if a.WAMPCRA != nil {
		d.WAMPCRA = make(map[string]auth.CRAUser)
		for id, u := range a.WAMPCRA.Users {
			d.WAMPCRA[id] = auth.CRAUser{
				Secret: string(u.Secret), Role: u.Role, Salt: u.Salt, Iterations: u.Iterations, KeyLen: u.KeyLen,
			}
		}
	}
	if a.Cryptosign != nil {
		d.Cryptosign = make(map[string]auth.CryptosignPrincipal)
		for id, p := range a.Cryptosign.Principals {
			keys := make([]string, len(p.AuthorizedKeys))
			for i, key := range p.AuthorizedKeys {
				keys[i] = strings.ToLower(key)
			}
			d.Cryptosign[id] = auth.CryptosignPrincipal{Keys: keys, Role: p.Role, Realm: p.Realm}
		}
	}
	return d
}

// routerOptions are the options of the router.
func (c *Config) routerOptions(host core.Host, counts *metrics.Metrics) (router.Options, error) {
	options := router.Options{Log: host.Log(), Metrics: counts}
	for _, name := range c.Serializers {
		options.Codecs = append(options.Codecs, codec.Named(name))
	}
	var err error
	if options.Limits, err = c.limits(); err != nil {
		return router.Options{}, err
	}
	options.Realms, err = c.realmOptions()
	return options, err
}

// limits are the options of the router that can change.
func (c *Config) limits() (router.Limits, error) {
	proxies, err := httpin.NewProxies(c.TrustedProxies)
	if err != nil {
		return router.Limits{}, err
	}
	limits := router.Limits{
		Peer: peer.Options{
			QueueMessages: c.QueueMessages, QueueBytes: int(c.QueueBytes), DropEvents: c.SlowConsumer == "drop",
			WriteTimeout: c.WriteTimeout.Std(), PingInterval: c.PingInterval.Std(), PingTimeout: c.PingTimeout.Std(),
		},
		Origins: c.AllowedOrigins, MaxMessage: int64(c.MaxMessageSize), MaxURI: c.MaxURILength,
		MaxSessions: c.MaxSessions, MaxSessionsPerIP: c.MaxSessionsPerIP, MaxSubscriptions: c.MaxSubscriptions,
		PublishRate: rate.Limit(c.PublishRate), HelloTimeout: c.HelloTimeout.Std(),
		ClientOf: func(r *http.Request) router.Client {
			client := proxies.Client(r)
			return router.Client{Address: client.Addr, Host: client.Host}
		},
	}
	if c.PublishRate == 0 {
		limits.PublishRate = rate.Inf
	}
	return limits, nil
}

// realmOptions are the realms of the router.
func (c *Config) realmOptions() ([]router.Realm, error) {
	realms := make([]router.Realm, len(c.Realms))
	for i := range c.Realms {
		realm := &c.Realms[i]
		directory := c.authOf(realm).directory()
		if err := directory.Prepare(); err != nil {
			return nil, fmt.Errorf("realm %s: %w", realm.Name, err)
		}
		realms[i] = router.Realm{
			Name: realm.Name, StrictURI: realm.StrictURI, AllowDisclose: realm.AllowDisclose,
			Policy: policy(realm.Roles, realm.RPC), Directory: directory,
		}
	}
	return realms, nil
}

// clientTLS reads the files of a client's TLS.
func (t *TLS) clientTLS() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.Server, InsecureSkipVerify: t.Insecure}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities of the router: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("certificate authorities of the router: " + t.CA + " holds no certificate")
		}
	}
	if t.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate %s with key %s: %w", t.Cert, t.Key, err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// structural is the configuration without what can change while an instance
// works.
func (c *Config) structural() Config {
	rest := *c
	rest.Roles = nil
	rest.Auth = c.Auth.structural()
	rest.Realms = make([]Realm, len(c.Realms))
	for i, realm := range c.Realms {
		realm.Roles, realm.RPC = nil, nil
		realm.Auth = realm.Auth.structural()
		rest.Realms[i] = realm
	}
	if c.Mode == modeClient {
		rest.Auth = c.Auth // how the bridge itself logs in
		return rest
	}
	rest.TrustedProxies, rest.AllowedOrigins, rest.SlowConsumer = nil, nil, ""
	rest.MaxSessions, rest.MaxSessionsPerIP, rest.MaxSubscriptions, rest.MaxURILength = 0, 0, 0, 0
	rest.QueueMessages, rest.QueueBytes, rest.MaxMessageSize, rest.PublishRate = 0, 0, 0, 0
	rest.HelloTimeout, rest.WriteTimeout, rest.PingInterval, rest.PingTimeout = 0, 0, 0, 0
	return rest
}

// structural is which methods there are.
func (a *Auth) structural() *Auth {
	if a == nil {
		return nil
	}
	rest := &Auth{}
	if a.Anonymous != nil {
		rest.Anonymous = &AnonymousAuth{}
	}
	if a.Ticket != nil {
		rest.Ticket = &TicketAuth{}
	}
	if a.WAMPCRA != nil {
		rest.WAMPCRA = &CRAAuth{}
	}
	if a.Cryptosign != nil {
		rest.Cryptosign = &CryptosignAuth{}
	}
	return rest
}
