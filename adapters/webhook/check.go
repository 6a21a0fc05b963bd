package webhook

import (
	"net/http"
	"net/url"
	"regexp"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/pushbridge/bridge/core/kit/settings"
)

// maxTimeout bounds how long one receiver can hold back a channel.
const maxTimeout = 5 * time.Minute

// check reports what a schema cannot say.
func (c *config) check(report *settings.Report) {
	if wrong := checkURL(c.URL); wrong != "" {
		report.Error("/url", "%s", wrong)
	}
	if c.Format != formatPusher {
		report.Error("/format", "format %s cannot be sent yet: write format: pusher, or leave the webhook out", c.Format)
	}
	c.checkKeys(report)
	if c.EventTypes != nil && len(c.EventTypes) == 0 {
		report.Error("/event_types", "event_types is empty: leave it out if everything is to be posted")
	}
	if _, err := regexp.Compile(c.Filter.Pattern); err != nil {
		report.Error("/filter/channel_pattern", "%v", err)
	}
	for name, value := range c.Headers {
		if wrong := checkHeader(name, string(value)); wrong != "" {
			report.Error(settings.Path("headers", name), "%s", wrong)
		}
	}
	if timeout := c.Timeout.Std(); timeout <= 0 || timeout > maxTimeout {
		report.Error("/timeout", "want a time up to %s", maxTimeout)
	}
	if c.Batch != nil && c.Batch.Window.Std() > time.Minute {
		report.Error("/batch/window", "want a time up to a minute")
	}
	c.TLS.Check("/tls", report)
}

func checkURL(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "this is no URL: write https://example.com/path"
	case u.Scheme != "http" && u.Scheme != "https":
		return "a webhook needs an http or https URL: https://example.com/path"
	case u.Hostname() == "":
		return "the URL has no host: https://example.com/path"
	}
	return ""
}

// checkKeys makes sure that everything can be signed.
func (c *config) checkKeys(report *settings.Report) {
	if c.Apps == nil {
		checkPair(report, "", c.Key, c.Secret)
		return
	}
	if c.Key != "" || c.Secret != "" {
		report.Error("/apps", "write either key and secret, or apps")
	}
	if len(c.Apps) == 0 {
		report.Error("/apps", "apps is empty: nothing could be signed")
	}
	ids := make(map[appID]bool)
	for i := range c.Apps {
		a := &c.Apps[i]
		path := settings.Path("apps", i)
		if ids[a.ID] {
			report.Error(path+"/id", "app %q is there twice", a.ID)
		}
		ids[a.ID] = true
		if len(a.Keys) == 0 {
			checkPair(report, path, a.Key, a.Secret)
			continue
		}
		if a.Key != "" || a.Secret != "" {
			report.Error(path+"/keys", "write either key and secret, or keys")
		}
		for n, k := range a.Keys {
			checkPair(report, path+settings.Path("keys", n), k.Key, k.Secret)
		}
		if !a.signing().Enabled {
			report.Warning(path+"/keys", "none of the keys is enabled: every event of this app will be refused")
		}
	}
}

func checkPair(report *settings.Report, path, key string, secret settings.Secret) {
	if key == "" {
		report.Error(path, "key is missing: name the key to sign with")
	}
	if secret == "" {
		report.Error(path, "secret is missing: give the secret of the key")
	}
}

// ours are the headers that a configuration cannot set.
func ours(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case headerKey, headerSignature, "Content-Type", "Content-Length", "Content-Encoding", "Host",
		"Connection", "Keep-Alive", "Transfer-Encoding", "Te", "Trailer", "Upgrade", "Expect", "Proxy-Connection":
		return true
	}
	return false
}

func checkHeader(name, value string) string {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "this is no name of a header"
	case !httpguts.ValidHeaderFieldValue(value):
		return "the value has characters that no header may have"
	case ours(name):
		return "this header is set by the webhook itself"
	}
	return ""
}
