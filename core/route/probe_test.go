package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/wire"
)

// TestMain makes the test's executable the plugins that the routes under test run.
func TestMain(m *testing.M) {
	self := filepath.Base(os.Args[0])
	switch {
	case self == registry.FilePrefix+"foreign":
		serveForeign()
	case strings.HasPrefix(self, registry.FilePrefix), len(os.Args) > 1 && os.Args[1] == "plugin":
		wire.Serve(probe{})
	default:
		// Else each plugin takes a second to exit under the race detector.
		if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
			log.Fatal(err)
		}
		goleak.VerifyTestMain(releasing{m})
	}
}

// hung is what a probe that hangs waits for. In the tests' own process it is
// closed once all have run, so that only what nobody waits for any more is left.
var hung = make(chan struct{})

type releasing struct{ tests *testing.M }

// Run implements goleak.TestingM.
func (r releasing) Run() int {
	defer close(hung)
	return r.tests.Run()
}

// probe is an adapter that misbehaves as its configuration says. As a source it
// publishes what is posted and answers when every sink has; as a sink it appends
// what it gets to a file.
type probe struct{}

type probeConfig struct {
	Listen  string `json:"listen,omitempty"`
	File    string `json:"file,omitempty" jsonschema_description:"Where events go."`
	Value   string `json:"value,omitempty" jsonschema_description:"Changes in place."`
	Fixed   string `json:"fixed,omitempty" jsonschema_description:"Changes with a new instance."`
	Fail    string `json:"fail,omitempty" jsonschema_description:"Call that fails."`
	Crash   string `json:"crash,omitempty" jsonschema_description:"Call in which the process exits."`
	Hang    string `json:"hang,omitempty" jsonschema_description:"Call that never returns."`
	Once    string `json:"once,omitempty" jsonschema_description:"File that a crash leaves, so that there is only one."`
	Problem string `json:"problem,omitempty" jsonschema_description:"What Check says."`
}

func (probe) Describe() core.Info {
	return core.Info{Name: "probe", Version: "1", Source: true, Sink: true, Config: settings.Schema[probeConfig]()}
}

func (probe) Validate(raw json.RawMessage) core.Validation {
	config, err := settings.Decode[probeConfig](raw)
	if err != nil {
		return core.Validation{Findings: []core.Finding{{Message: err.Error()}}}
	}
	if err := config.trouble("validate"); err != nil {
		return core.Validation{Findings: []core.Finding{{Message: err.Error()}}}
	}
	var v core.Validation
	if config.Listen != "" {
		v.Addresses = []core.Address{{Listen: config.Listen, Paths: []string{"/"}}}
	}
	return v
}

type probeInstance struct {
	probeConfig
	now      atomic.Pointer[probeConfig]
	host     core.Host
	endpoint *httpin.Endpoint

	published prometheus.Counter
}

func (probe) Open(_ context.Context, _ string, raw json.RawMessage, host core.Host) (core.Instance, error) {
	config, err := settings.Decode[probeConfig](raw)
	if err != nil {
		return nil, err
	}
	i := &probeInstance{probeConfig: config, host: host}
	i.now.Store(&config)
	i.published = prometheus.NewCounter(prometheus.CounterOpts{Name: "probe_published_total", Help: "Events."})
	if err := host.Metrics().Register(i.published); err != nil {
		return nil, err
	}
	if err := i.trouble("open"); err != nil {
		return nil, err
	}
	if config.Listen != "" {
		listening, err := settings.Decode[httpin.Config](fmt.Appendf(nil, `{"listen":%q}`, config.Listen))
		if err != nil {
			return nil, err
		}
		i.endpoint, err = httpin.NewEndpoint(host, listening, map[string]http.Handler{"/": i})
		if err != nil {
			return nil, err
		}
	}
	return i, nil
}

func (c probeConfig) trouble(call string) error {
	switch call {
	case c.Hang:
		<-hung
	case c.Crash:
		if c.Once != "" {
			if mark, err := os.OpenFile(c.Once, os.O_CREATE|os.O_EXCL, 0o600); err != nil {
				return nil
			} else if err := mark.Close(); err != nil {
				return err
			}
		}
		log.Println("the probe crashes in", call)
		os.Exit(3)
	case c.Fail:
		return errors.New("the probe fails in " + call)
	}
	return nil
}

func (i *probeInstance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/crash" {
		os.Exit(3)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	receipts, err := i.host.Publish(r.Context(), core.Publication{Ack: core.AckAll, Events: []core.Event{{Topic: "t", Data: body}}})
	for _, receipt := range receipts {
		if receipt.Err != nil {
			err = receipt.Err
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	i.published.Inc()
	fmt.Fprintln(w, os.Getpid(), i.now.Load().Value)
}

func (i *probeInstance) Start(ctx context.Context) error {
	if err := i.trouble("start"); err != nil || i.endpoint == nil {
		return err
	}
	return i.endpoint.Start(ctx)
}

func (i *probeInstance) Deliver(_ context.Context, batch core.Batch) error {
	if err := i.trouble("deliver"); err != nil {
		return err
	}
	file, err := os.OpenFile(i.File, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, event := range batch.Events {
		if _, err := fmt.Fprintf(file, "%s%s\n", i.now.Load().Value, event.Data); err != nil {
			return err
		}
	}
	batch.AnswerAll(core.Accepted())
	return nil
}

func (i *probeInstance) Reconfigure(_ context.Context, raw json.RawMessage) error {
	config, err := settings.Decode[probeConfig](raw)
	if err != nil {
		return err
	}
	if config.Fail == "reconfigure" {
		return errors.New("the probe fails in reconfigure")
	}
	if i.now.Load().Value == "final" {
		return errors.New("the probe cannot be given another value any more")
	}
	if config.Fixed != i.Fixed || config.Fail != i.Fail || config.Hang != i.Hang || config.Crash != i.Crash {
		return core.ErrRestart
	}
	i.now.Store(&config)
	return nil
}

func (i *probeInstance) Check(context.Context) error {
	if err := i.trouble("check"); err != nil {
		return err
	}
	if problem := i.now.Load().Problem; problem != "" {
		return errors.New(problem)
	}
	return nil
}

func (i *probeInstance) Drain(ctx context.Context) error {
	if err := i.trouble("drain"); err != nil || i.endpoint == nil {
		return err
	}
	return i.endpoint.Drain(ctx)
}

func (i *probeInstance) Stop(ctx context.Context) error {
	if err := i.trouble("stop"); err != nil || i.endpoint == nil {
		return err
	}
	return i.endpoint.Stop(ctx)
}
