package main

import (
	"context"
	"encoding/json"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// logConfig is the configuration.
type logConfig struct {
	Data bool `json:"data" jsonschema:"default=true" jsonschema_description:"Write the events' data too."`
}

type logAdapter struct{}

// Describe implements core.Adapter.
func (logAdapter) Describe() core.Info {
	return core.Info{
		Name: "example-log", Version: "1.0.0", Summary: "Write events to the log (an example for authors)",
		Sink: true, Config: settings.Schema[logConfig](), Scope: core.ScopeOnce,
	}
}

// Validate implements core.Adapter. The schema says everything.
func (logAdapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }

// Open implements core.Adapter.
func (logAdapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	c, err := settings.Decode[logConfig](config)
	if err != nil {
		return nil, err
	}
	l := &logSink{config: c, host: host}
	l.Sink = core.Each(1, l.write)
	return l, nil
}

// logSink is an instance at work. Its Deliver is that of core.Each, which calls
// write for one event after the other.
type logSink struct {
	core.Sink
	config logConfig
	host   core.Host
}

// Start implements core.Instance.
func (*logSink) Start(context.Context) error { return nil }

// Stop implements core.Instance.
func (*logSink) Stop(context.Context) error { return nil }

// write handles one event and says what became of it.
func (l *logSink) write(_ context.Context, event core.Event) core.Receipt {
	for kind := range event.Only {
		return core.Receipt{Err: core.Refuse(core.CodeAudienceUnsupported, "a log has no %ss to choose from", kind)}
	}
	attributes := []any{"id", event.ID, "source", event.Source, "topic", event.Topic, "name", event.Name, "type", event.Type}
	if l.config.Data {
		attributes = append(attributes, "data", string(event.Data))
	}
	l.host.Log().Info("event", attributes...)
	return core.Accepted()
}
