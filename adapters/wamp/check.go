package wamp

import (
	"encoding/json"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// check reports what is wrong with the configuration; raw is what it was
// decoded from.
func (c *Config) check(raw json.RawMessage, report *settings.Report) {
	var keys map[string]json.RawMessage
	_ = json.Unmarshal(raw, &keys) // it has been decoded before
	other := modeClient
	if c.Mode == modeClient {
		other = modeRouter
	}
	for _, key := range keysOfMode(other) {
		if _, present := keys[key]; present {
			report.Error(settings.Path(key), "%s is for mode %s, this is mode %s: remove it", key, other, c.Mode)
		}
	}
	c.checkTimes(report)
	switch c.Mode {
	case modeRouter:
		c.checkRouter(report)
	case modeClient:
		c.checkClient(report)
	default:
		report.Error("/mode", `mode is %q: want "router" or "client"`, c.Mode)
	}
}

func (c *Config) checkTimes(report *settings.Report) {
	for _, d := range []struct {
		key   string
		value settings.Duration
	}{
		{"write_timeout", c.WriteTimeout}, {"ping_interval", c.PingInterval}, {"ping_timeout", c.PingTimeout},
		{"hello_timeout", c.HelloTimeout}, {"connect_timeout", c.ConnectTimeout}, {"ack_timeout", c.AckTimeout},
	} {
		if d.value <= 0 {
			report.Error(settings.Path(d.key), "it must be longer than nothing")
		}
	}
	for _, s := range []struct {
		key   string
		value settings.Size
	}{{"max_message_size", c.MaxMessageSize}, {"queue_bytes", c.QueueBytes}} {
		if s.value <= 0 {
			report.Error(settings.Path(s.key), "it must be more than 0 bytes")
		}
	}
}

func (c *Config) checkRouter(report *settings.Report) {
	endpoint := c.endpoint()
	endpoint.Check(report)
	if c.TLS != nil {
		c.checkServerTLS(report)
	}
	for i, path := range c.Paths {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "{} ?#") {
			report.Error(settings.Path("paths", i), "%q is no path: write it as /ws", path)
		}
	}
	for i, name := range c.Serializers {
		if codec.Named(name) == nil {
			report.Error(settings.Path("serializers", i), "there is no serializer %q: want json, msgpack or cbor", name)
		}
	}
	if c.HelloTimeout.Std() > maxHelloTimeout {
		report.Error("/hello_timeout", "it can be at most %s", maxHelloTimeout)
	}
	if c.PublishRate != 0 && c.PublishRate < 1 {
		report.Error("/publish_rate", "it must be 0, for any rate, or at least 1")
	}
	if len(c.Realms) == 0 {
		report.Error("/realms", "a router needs a realm: [{name: realm1, roles: [...]}]")
	}
	if c.Auth != nil {
		c.checkLogins(c.Auth, report, "auth")
	}
	names := make(map[string]bool)
	for i := range c.Realms {
		c.checkRealm(&c.Realms[i], names, report, "realms", i)
	}
	c.checkSubscriptions(report)
}

func (c *Config) checkServerTLS(report *settings.Report) {
	if c.TLS.Cert == "" || c.TLS.Key == "" {
		report.Error("/tls", "a router needs both cert and key")
	}
	if c.TLS.CA != "" || c.TLS.Server != "" || c.TLS.Insecure {
		report.Error("/tls", "ca, server_name and insecure_skip_verify are for mode client")
	}
}

func (c *Config) checkRealm(realm *Realm, names map[string]bool, report *settings.Report, at ...any) {
	path := func(more ...any) string { return settings.Path(slices.Concat(at, more)...) }
	if !nexus.URI(realm.Name).ValidURI(realm.StrictURI, "") {
		report.Error(path("name"), "%q is no valid WAMP URI", realm.Name)
	}
	if names[realm.Name] {
		report.Error(path("name"), "there is already a realm %q", realm.Name)
	}
	names[realm.Name] = true
	if len(realm.Roles) == 0 {
		report.Warning(path("roles"), "no role is defined, so no client may do anything in this realm")
	}
	checkRoles(realm.Roles, report, slices.Concat(at, []any{"roles"})...)
	if realm.Auth != nil {
		c.checkLogins(realm.Auth, report, slices.Concat(at, []any{"auth"})...)
	}
	c.checkGrantedRoles(realm, report, path)
	if !realm.AllowDisclose && discloses(realm.Roles) {
		report.Warning(path("allow_disclose"), "rules have disclose, which does nothing without allow_disclose")
	}
}

func discloses(roles []Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool {
		return slices.ContainsFunc(r.Permissions, func(p Permission) bool { return p.Disclose != nil })
	})
}

// checkGrantedRoles warns of roles that a login gives and the realm does not
// define.
func (c *Config) checkGrantedRoles(realm *Realm, report *settings.Report, path func(...any) string) {
	defined := make(map[string]bool)
	for _, role := range realm.Roles {
		defined[role.Name] = true
	}
	for _, role := range c.authOf(realm).grantedRoles() {
		if !defined[role] && len(realm.Roles) > 0 {
			report.Warning(path("roles"), "clients can log in with the role %q, which is not defined here and may do nothing", role)
		}
	}
}

func checkRoles(roles []Role, report *settings.Report, at ...any) {
	names := make(map[string]bool)
	for i, role := range roles {
		path := func(more ...any) string { return settings.Path(slices.Concat(at, []any{i}, more)...) }
		if role.Name == "" {
			report.Error(path("name"), "a role needs a name")
		}
		if names[role.Name] {
			report.Error(path("name"), "there is already a role %q", role.Name)
		}
		names[role.Name] = true
		for j, permission := range role.Permissions {
			permission.check(report, path("permissions", j))
		}
	}
}

func (p Permission) check(report *settings.Report, path string) {
	if p.Allow != nil && (p.Call || p.Register || p.Publish || p.Subscribe) {
		report.Error(path, "write what is allowed under allow, or as flat keys, not both")
	}
	rule := p.rule()
	if !nexus.URI(rule.URI).ValidURI(false, rule.Match.String()) {
		report.Error(path+"/uri", "%q is no valid URI for match %s", p.URI, rule.Match)
	}
}

func (c *Config) checkSubscriptions(report *settings.Report) {
	for i, s := range c.Subscribe {
		if !nexus.URI(s.Topic).ValidURI(false, s.Match) {
			report.Error(settings.Path("subscribe", i, "topic"), "%q is no valid topic for match %s", s.Topic, s.Match)
		}
		switch {
		case c.Mode == modeClient && s.Realm != "" && s.Realm != c.Realm:
			report.Error(settings.Path("subscribe", i, "realm"), "this instance joins realm %q only", c.Realm)
		case c.Mode == modeRouter && s.Realm == "" && len(c.Realms) > 1:
			report.Error(settings.Path("subscribe", i, "realm"), "say in which realm: there are several")
		case c.Mode == modeRouter && s.Realm != "" && !slices.ContainsFunc(c.Realms, func(r Realm) bool { return r.Name == s.Realm }):
			report.Error(settings.Path("subscribe", i, "realm"), "there is no realm %q here", s.Realm)
		}
	}
}

func (c *Config) checkClient(report *settings.Report) {
	target, err := url.Parse(c.URL)
	switch {
	case c.URL == "":
		report.Error("/url", "a client needs the url of its router: wss://router.example.com/ws")
	case err != nil || target.Host == "" || target.Scheme != "ws" && target.Scheme != "wss":
		report.Error("/url", "%q is no ws:// or wss:// URL", c.URL)
	case c.TLS != nil && target.Scheme == "ws":
		report.Error("/tls", "the url is ws://, which has no TLS: write wss://")
	}
	if !nexus.URI(c.Realm).ValidURI(false, "") {
		report.Error("/realm", "%q is no valid realm", c.Realm)
	}
	if codec.Named(c.Serializer) == nil {
		report.Error("/serializer", "there is no serializer %q: want json, msgpack or cbor", c.Serializer)
	}
	if c.TLS != nil {
		c.checkClientTLS(report)
	}
	if c.Auth != nil {
		c.Auth.checkLogin(report, target)
	}
	if c.Reconnect.Initial <= 0 || c.Reconnect.Cap < c.Reconnect.Initial || c.Reconnect.Factor < 1 {
		report.Error("/reconnect", "want initial greater than 0, cap not below it, factor at least 1")
	}
	if c.Queue.TTL < 0 || c.Queue.Bytes <= 0 {
		report.Error("/queue", "want bytes greater than 0 and ttl not below 0")
	}
	checkRoles(c.Roles, report, "roles")
	c.checkSubscriptions(report)
}

func (c *Config) checkClientTLS(report *settings.Report) {
	if c.TLS.ClientCA != "" {
		report.Error("/tls/client_ca", "client_ca is for mode router; the router's authorities are ca")
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		report.Error("/tls", "cert and key belong together")
	}
	if c.TLS.Insecure {
		report.Warning("/tls/insecure_skip_verify", "anybody on the way to the router can read and forge everything")
	}
}

// plaintext reports whether what clients send can be read on a network.
func (c *Config) plaintext() bool {
	if c.TLS != nil || strings.HasPrefix(c.Listen, "unix:") {
		return false
	}
	host, _, err := net.SplitHostPort(c.Listen)
	return err != nil || !isLoopback(host)
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// endpoint is the listening side.
func (c *Config) endpoint() httpin.Config {
	config := httpin.Config{Listen: c.Listen, TrustedProxies: c.TrustedProxies, Limits: c.Limits}
	if c.TLS != nil {
		config.TLS = &httpin.TLS{Cert: c.TLS.Cert, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA}
	}
	return config
}
