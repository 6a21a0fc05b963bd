package wamp

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Adapter is the WAMP adapter. The zero value is ready for use.
type Adapter struct{}

// version of the adapter.
const version = "1.0.0"

// schema is of the configuration, made when it is first asked for.
var schema = sync.OnceValue(settings.Schema[Config])

// Describe implements core.Adapter.
func (Adapter) Describe() core.Info {
	return core.Info{
		Name:    "wamp",
		Version: version,
		Summary: "WAMP router for browsers and services, or publisher at an outside WAMP router",
		Source:  true,
		Sink:    true,
		Config:  schema(),
		Calls: []string{
			core.OpPublishAuthorize, core.OpChannelsList, core.OpChannelsGet, core.OpChannelsMembers, core.OpUserDisconnect,
			core.OpListenersCount,
		},
		IssuesIDs: true,
		Scope:     core.ScopeEveryNode,
		Kinds:     []core.Kind{core.KindMessage, core.KindHappening},
	}
}

// Validate implements core.Adapter.
func (Adapter) Validate(config json.RawMessage) core.Validation {
	c, report := parse(config)
	validation := core.Validation{Findings: report.Findings}
	if c.Mode == modeRouter && c.Listen != "" {
		endpoint := c.endpoint()
		validation.Addresses = []core.Address{endpoint.Address(c.Paths...)}
	}
	return validation
}

// parse reads and checks a configuration.
func parse(config json.RawMessage) (Config, *settings.Report) {
	report := new(settings.Report)
	c, err := settings.Decode[Config](config)
	if err != nil {
		report.Error("", "%v", err)
		return c, report
	}
	c.check(config, report)
	return c, report
}

// Open implements core.Adapter.
func (Adapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	c, report := parse(config)
	if err := report.Err(); err != nil {
		return nil, err
	}
	if c.Mode == modeClient {
		return newClientInstance(c, host)
	}
	return newRouterInstance(c, host)
}
