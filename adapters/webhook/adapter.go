package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Adapter is the adapter webhook. The zero value is ready for use.
type Adapter struct {
	// Now is the clock that the times of bodies and of Retry-After are held
	// against; nil means time.Now.
	Now func() time.Time
}

// schema is of the configuration, made when it is first asked for.
var schema = sync.OnceValue(settings.Schema[config])

// Describe implements core.Adapter.
func (Adapter) Describe() core.Info {
	return core.Info{
		Name:    "webhook",
		Version: "1.0.0",
		Summary: "Events posted to a URL, as Pusher Channels' signed webhooks",
		Sink:    true,
		Config:  schema(),
		Scope:   core.ScopeOnce,
	}
}

// Validate implements core.Adapter.
func (Adapter) Validate(raw json.RawMessage) core.Validation {
	c, err := settings.Decode[config](raw)
	if err != nil {
		return core.Validation{Findings: []core.Finding{{Message: err.Error()}}}
	}
	var report settings.Report
	c.check(&report)
	return core.Validation{Findings: report.Findings}
}

// Open implements core.Adapter.
func (a Adapter) Open(_ context.Context, name string, raw json.RawMessage, host core.Host) (core.Instance, error) {
	c, err := read(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	now := a.Now
	if now == nil {
		now = time.Now
	}
	i, err := newInstance(c, host, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return i, nil
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
