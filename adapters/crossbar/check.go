package crossbar

import (
	"net/url"
	"strings"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// maxPublishTimeout is well below the time that the HTTP server gives a handler.
const maxPublishTimeout = time.Minute

// check reports what a schema cannot say, and once more what would be dangerous
// to miss.
func (p *placed) check(report *settings.Report) {
	p.Config.Check(report)
	for _, name := range p.both {
		report.Error(settings.Path("options", name), "%s is given here and beside realm: leave one of them out", name)
	}
	for _, name := range p.nulls {
		report.Error(p.at(name), "%s has no value: give it one or leave it out", name)
	}
	if wrong := checkPath(p.Path); wrong != "" {
		report.Error("/path", "%s", wrong)
	}
	if p.Type != typePusher && p.Type != typePublisher {
		report.Error("/type", "type is pusher or publisher, not %q", p.Type)
	}
	if p.Realm == "" {
		report.Error("/realm", "realm is missing: name the WAMP realm to publish in")
	}
	if p.Role == "" {
		report.Error("/role", "role is missing: name the WAMP role to publish as")
	}
	p.checkKeys(report)
	p.checkAccess(report)
	p.checkTimes(report)
	if signed := len(p.keys()) > 0; !signed && p.StrictSeq {
		report.Warning(p.at("strict_seq"), "strict_seq has no effect on an unsigned endpoint: configure a key")
	}
}

func checkPath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return "a path begins with a slash: /push"
	case strings.ContainsAny(path, "{}?# \t\r\n"):
		return "a path has no blanks and none of {}?#"
	case strings.Contains(path, "//") || strings.Contains(path+"/", "/./") || strings.Contains(path+"/", "/../"):
		return "a path has no empty parts and no dots as parts"
	}
	return ""
}

// checkKeys makes sure that an endpoint is never unsigned by mistake.
func (p *placed) checkKeys(report *settings.Report) {
	switch {
	case p.Key != nil && p.Secret == nil:
		report.Error(p.at("key"), "key without secret: give the secret too, or the endpoint would be unsigned")
	case p.Key == nil && p.Secret != nil:
		report.Error(p.at("secret"), "secret without key: name the key that requests give")
	}
	if p.Key != nil && *p.Key == "" {
		report.Error(p.at("key"), "the key is empty")
	}
	if p.Secret != nil && *p.Secret == "" {
		report.Error(p.at("secret"), "the secret is empty: anybody could sign")
	}
	if p.Keys == nil {
		return
	}
	if p.Key != nil || p.Secret != nil {
		report.Error(p.at("keys"), "write either key and secret, or keys")
	}
	if len(p.Keys) == 0 {
		report.Error(p.at("keys"), "keys is empty: leave it out if the endpoint is meant to be unsigned")
	}
	names := make(map[string]bool)
	for i, k := range p.Keys {
		if k.Key == "" {
			report.Error(p.at("keys", i, "key"), "the key is empty")
		}
		if names[k.Key] {
			report.Error(p.at("keys", i, "key"), "key %q is there twice: use previous_secret for a second secret", k.Key)
		}
		names[k.Key] = true
		if k.Secret == "" {
			report.Error(p.at("keys", i, "secret"), "the secret is empty: anybody could sign")
		}
		if k.Topics != nil && len(k.Topics) == 0 {
			report.Error(p.at("keys", i, "topics"), "topics is empty: leave it out if the key may publish on all topics")
		}
		for j, prefix := range k.Topics {
			if prefix == "" {
				report.Error(p.at("keys", i, "topics", j), "an empty prefix allows all topics: leave topics out if that is meant")
			}
		}
	}
}

// checkAccess looks at who may send requests.
func (p *placed) checkAccess(report *settings.Report) {
	if p.RequireIP != nil && len(p.RequireIP) == 0 {
		report.Error(p.at("require_ip"), "require_ip is empty: leave it out if every address may send requests")
	}
	for i, network := range p.RequireIP {
		if _, err := httpin.ParseNetwork(network); err != nil {
			report.Error(p.at("require_ip", i), "%v", err)
		}
	}
	if p.RequireTLS && p.TLS == nil && len(p.TrustedProxies) == 0 {
		report.Warning(p.at("require_tls"), "every request will be refused: there is neither tls nor a trusted proxy that speaks it")
	}
	for i, origin := range p.CORSOrigins {
		switch {
		case origin == anyOrigin && len(p.CORSOrigins) > 1:
			report.Error(p.at("cors_origins", i), "* already means all origins: write it alone")
		case origin == anyOrigin && len(p.keys()) == 0:
			report.Warning(p.at("cors_origins", i), "every web page that somebody with access to this endpoint opens can publish here: configure a key, or list the origins")
		case origin != anyOrigin && origin != nullOrigin && !isOrigin(origin):
			report.Error(p.at("cors_origins", i), "%q is no origin: write scheme and host, https://app.example.com", origin)
		}
	}
}

// isOrigin reports whether text is scheme and host, perhaps with a port.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme != "" && u.Host != "" && text == u.Scheme+"://"+u.Host && !strings.ContainsAny(text, " ,*")
}

// checkTimes looks at times and limits.
func (p *placed) checkTimes(report *settings.Report) {
	within := func(name string, n, low, high int) {
		if n < low || n > high {
			report.Error(p.at(name), "%s is %d: want %d to %d", name, n, low, high)
		}
	}
	within("post_body_limit", p.PostBodyLimit, 0, 1<<20)
	within("timestamp_delta_limit", p.TimestampLimit, 0, 86400)
	within("max_uri_length", p.MaxURILength, 1, core.MaxTopicBytes)
	if p.TimestampLimit == 0 {
		report.Warning(p.at("timestamp_delta_limit"), "0 accepts requests of any age; a signed one can be repeated after replay_ttl")
	}
	if t := p.PublishTimeout.Std(); t <= 0 || t > maxPublishTimeout {
		report.Error(p.at("publish_timeout"), "publish_timeout is %s: want more than 0 and at most %s", t, maxPublishTimeout)
	}
	if p.ReplayTTL.Std() <= 0 {
		report.Error(p.at("replay_ttl"), "replay_ttl must be more than 0: a signed request could be repeated at once")
	}
	if p.ReplayMax < 1 {
		report.Error(p.at("replay_max"), "replay_max must be at least 1")
	}
	if p.MaxInFlight < 1 {
		report.Error(p.at("max_in_flight"), "max_in_flight must be at least 1")
	}
	if p.RateLimit < 0 || p.RateBurst < 0 {
		report.Error(p.at("rate_limit"), "rate_limit and rate_burst must not be negative")
	}
}
