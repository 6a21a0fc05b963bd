package rest

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Adapter is the adapter pusher-rest. The zero value is ready for use.
type Adapter struct {
	// Now is the clock that timestamps are held against; nil means time.Now.
	Now func() time.Time
}

// schema is of the configuration, made when it is first asked for.
var schema = sync.OnceValue(settings.Schema[config])

// Describe implements core.Adapter.
func (Adapter) Describe() core.Info {
	return core.Info{
		Name:    "pusher-rest",
		Version: "1.0.0",
		Summary: "Events published through the Pusher Channels HTTP API, with any of its server libraries",
		Source:  true,
		Config:  schema(),
		Kinds:   []core.Kind{core.KindMessage},
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
	return core.Validation{
		Findings:  report.Findings,
		Addresses: []core.Address{c.Address(c.paths()...)},
	}
}

// Open implements core.Adapter.
func (a Adapter) Open(_ context.Context, name string, raw json.RawMessage, host core.Host) (core.Instance, error) {
	now := a.Now
	if now == nil {
		now = time.Now
	}
	instance, err := newAPI(raw, host, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return instance, nil
}
