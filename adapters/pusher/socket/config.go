package socket

import (
	"encoding/json"
	"reflect"
	"regexp"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// config is an instance's configuration.
type config struct {
	httpin.Config
	PathPrefix string       `json:"path_prefix,omitempty" jsonschema:"example=/pusher" jsonschema_description:"Path in front of /app/, as clients are told with wsPath."`
	Escape     bool         `json:"escape,omitempty" jsonschema_description:"Make characters that no channel may have _, where an event of another protocol names its topic with them; otherwise the event is refused."`
	Apps       []app.Config `json:"apps" jsonschema:"required,minItems=1" jsonschema_description:"The apps that are served. An event goes to the only one, or to the one that its space names."`
}

// parse reads and checks a configuration.
func parse(raw json.RawMessage) (config, *settings.Report) {
	report := new(settings.Report)
	c, err := settings.Decode[config](raw)
	if err != nil {
		report.Error("", "%v", err)
		return c, report
	}
	c.Config.Check(report)
	if !prefixes.MatchString(c.PathPrefix) {
		report.Error("/path_prefix", "a prefix is made of parts like /pusher, without a slash at the end")
	}
	app.Check(c.Apps, "/apps", report)
	return c, report
}

// prefixes are what net/http routes by and does not clean away.
var prefixes = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// path is what clients connect to.
func (c *config) path() string { return c.PathPrefix + "/app/" }

// sameListener reports whether only what can change in place is different.
func (c *config) sameListener(other *config) bool {
	return reflect.DeepEqual(c.Config, other.Config) && c.PathPrefix == other.PathPrefix && c.Escape == other.Escape
}
