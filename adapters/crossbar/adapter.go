package crossbar

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Adapter is the adapter crossbar-pusher. The zero value is ready for use.
type Adapter struct {
	// Now is the clock that timestamps are held against; nil means time.Now.
	Now func() time.Time
}

// documentSchema is of the configuration, made when it is first asked for.
var documentSchema = sync.OnceValue(settings.Schema[document])

// Describe implements core.Adapter.
func (Adapter) Describe() core.Info {
	return core.Info{
		Name:    "crossbar-pusher",
		Version: "1.0.0",
		Summary: "Events published by HTTP POST, as to Crossbar's HTTP pusher and publisher services",
		Source:  true,
		Config:  documentSchema(),
		Kinds:   []core.Kind{core.KindMessage},
	}
}

// Validate implements core.Adapter.
func (Adapter) Validate(raw json.RawMessage) core.Validation {
	p, err := decode(raw)
	if err != nil {
		return core.Validation{Findings: []core.Finding{{Message: err.Error()}}}
	}
	var report settings.Report
	p.check(&report)
	return core.Validation{
		Findings:  report.Findings,
		Addresses: []core.Address{p.Address(p.paths()...)},
	}
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
	p, err := newPusher(c, host, now)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// read decodes and checks a configuration.
func read(raw json.RawMessage) (config, error) {
	p, err := decode(raw)
	if err != nil {
		return config{}, err
	}
	var report settings.Report
	p.check(&report)
	return p.config, report.Err()
}

// paths are the endpoint's path without and with a slash behind it.
func (c *config) paths() []string {
	base := strings.TrimSuffix(c.Path, "/")
	if base == "" {
		return []string{"/"}
	}
	return []string{base, base + "/"}
}
