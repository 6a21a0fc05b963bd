package rest

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// config is an instance's configuration.
type config struct {
	httpin.Config
	PathPrefix string       `json:"path_prefix,omitempty" jsonschema:"example=/pusher" jsonschema_description:"Path in front of /apps/ and /users/. Signatures do not cover it."`
	Apps       []app.Config `json:"apps" jsonschema:"required,minItems=1" jsonschema_description:"The apps that are served."`
}

// read decodes and checks a configuration.
func read(raw json.RawMessage) (config, error) {
	c, err := settings.Decode[config](raw)
	if err != nil {
		return c, err
	}
	var report settings.Report
	c.check(&report)
	return c, report.Err()
}

// check reports what a schema cannot say.
func (c *config) check(report *settings.Report) {
	c.Config.Check(report)
	if !prefixes.MatchString(c.PathPrefix) {
		report.Error("/path_prefix", "%q is no prefix: write parts of letters, digits and . _ ~ - like /pusher, without a slash at the end", c.PathPrefix)
	}
	app.Check(c.Apps, "/apps", report)
	for i := range c.Apps {
		a := &c.Apps[i]
		if a.TimestampWindow == 0 {
			report.Warning(settings.Path("apps", i, "timestamp_window"), "0 accepts requests of any age: one that somebody saw can be sent again for ever")
			if a.RefuseRepeats {
				report.Warning(settings.Path("apps", i, "refuse_repeats"), "without a timestamp_window repeats are only refused for %s", endlessWindow)
			}
		}
	}
}

// prefixes are paths that net/http routes by and that no client escapes.
var prefixes = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// paths are what the instance serves, everything below them too.
func (c *config) paths() []string {
	return []string{c.PathPrefix + "/apps/", c.PathPrefix + "/users/"}
}

// bodyLimit is the longest body in bytes. raw tells whether limits.max_body was
// written: the default grows with what the limits of the apps can need.
func (c *config) bodyLimit(raw json.RawMessage) (int64, error) {
	var written struct {
		Limits struct {
			MaxBody json.RawMessage `json:"max_body"`
		} `json:"limits"`
	}
	if err := json.Unmarshal(raw, &written); err != nil {
		return 0, fmt.Errorf("configuration: %w", err)
	}
	limit := int64(c.Limits.MaxBody)
	if written.Limits.MaxBody != nil {
		if limit == 0 {
			limit = core.MaxEventBytes // what is longer could not be published
		}
		return limit, nil
	}
	for i := range c.Apps {
		limit = max(limit, need(&c.Apps[i].Limits))
	}
	return min(limit, core.MaxEventBytes), nil
}

// escapedCharacter is what a character may take in JSON: two escapes of six bytes
// each, outside the Basic Multilingual Plane.
const escapedCharacter = 12

// need is the longest body that the limits allow, however it is escaped, with
// room for the names of members.
func need(l *app.Limits) int64 {
	const members = 1 << 10
	event := members + escapedCharacter*int64(l.EventData+l.EventName+l.IdempotencyKey)
	name := escapedCharacter * int64(max(l.ChannelName, l.UserID+len("#server-to-user-")))
	return max(int64(l.EventsPerBatch)*(event+name), event+int64(l.ChannelsPerEvent)*name)
}
