package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// tickerConfig is the configuration: the tags are its schema, its defaults and
// its documentation.
type tickerConfig struct {
	Interval settings.Duration `json:"interval" jsonschema:"default=1s" jsonschema_description:"Time between two events."`
	Topic    string            `json:"topic" jsonschema:"default=ticks,minLength=1" jsonschema_description:"Topic of the events."`
}

type tickerAdapter struct{}

// Describe implements core.Adapter.
func (tickerAdapter) Describe() core.Info {
	return core.Info{
		Name: "example-ticker", Version: "1.0.0", Summary: "Publish the time every so often (an example for authors)",
		Source: true, Config: settings.Schema[tickerConfig](), Kinds: []core.Kind{core.KindMessage},
	}
}

// Validate implements core.Adapter: what the schema cannot say.
func (tickerAdapter) Validate(config json.RawMessage) core.Validation {
	var report settings.Report
	c, err := settings.Decode[tickerConfig](config)
	switch {
	case err != nil:
		report.Error("", "%v", err)
	case c.Interval.Std() < time.Millisecond:
		report.Error("/interval", "an interval of %s is too short: want at least 1ms", c.Interval.Std())
	}
	return core.Validation{Findings: report.Findings}
}

// Open implements core.Adapter.
func (tickerAdapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	c, err := settings.Decode[tickerConfig](config)
	if err != nil {
		return nil, err
	}
	return &ticker{config: c, host: host, stop: func() {}}, nil
}

// ticker is an instance at work.
type ticker struct {
	config tickerConfig
	host   core.Host
	stop   context.CancelFunc
	work   sync.WaitGroup
}

// Start implements core.Instance. The goroutine ends with Stop; ctx is only for
// the start itself.
func (t *ticker) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	t.stop = cancel
	t.work.Go(func() { t.run(ctx) })
	return nil
}

// Stop implements core.Instance.
func (t *ticker) Stop(context.Context) error {
	t.stop()
	t.work.Wait()
	return nil
}

func (t *ticker) run(ctx context.Context) {
	beat := time.NewTicker(t.config.Interval.Std())
	defer beat.Stop()
	for {
		select {
		case now := <-beat.C:
			t.publish(ctx, now)
		case <-ctx.Done():
			return
		}
	}
}

func (t *ticker) publish(ctx context.Context, now time.Time) {
	_, err := t.host.Publish(ctx, core.Publication{Events: []core.Event{{
		Topic: t.config.Topic, Name: "tick", Time: now,
		Type: core.TypeText, Data: []byte(now.UTC().Format(time.RFC3339Nano)),
	}}})
	if err != nil && ctx.Err() == nil {
		t.host.Log().Warn("a tick was not published", "error", err)
	}
}
