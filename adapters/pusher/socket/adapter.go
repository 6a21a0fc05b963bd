package socket

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Adapter is the socket side of the Pusher Channels protocol. The zero value is
// ready for use.
type Adapter struct{}

// version of the adapter.
const version = "1.0.0"

// schema is of the configuration, made when it is first asked for.
var schema = sync.OnceValue(settings.Schema[config])

// Describe implements core.Adapter.
func (Adapter) Describe() core.Info {
	return core.Info{
		Name:    "pusher-socket",
		Version: version,
		Summary: "Pusher Channels server for clients such as pusher-js",
		Source:  true,
		Sink:    true,
		Config:  schema(),
		Calls:   []string{core.OpChannelsList, core.OpChannelsGet, core.OpChannelsMembers, core.OpUserDisconnect, core.OpListenersCount},
		Scope:   core.ScopeEveryNode,
		Kinds:   []core.Kind{core.KindClient, core.KindHappening},
	}
}

// Validate implements core.Adapter.
func (Adapter) Validate(raw json.RawMessage) core.Validation {
	c, report := parse(raw)
	v := core.Validation{Findings: report.Findings}
	if c.Listen != "" {
		v.Addresses = []core.Address{c.Address(c.path())}
	}
	return v
}

// Open implements core.Adapter.
func (Adapter) Open(_ context.Context, _ string, raw json.RawMessage, host core.Host) (core.Instance, error) {
	c, report := parse(raw)
	if err := report.Err(); err != nil {
		return nil, err
	}
	return newInstance(c, host)
}
