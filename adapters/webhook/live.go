package webhook

import (
	"net/http"
	"reflect"
	"regexp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/egress"
)

// live is a configuration at work. It is never changed: a new configuration is a
// new live.
type live struct {
	config  config
	signers signers
	wanted  wanted
	header  http.Header // of every request
	client  *egress.Client
	// sink takes batches to the requests.
	sink core.Sink
}

// userAgent names the sender to receivers.
const userAgent = "pushbridge-webhook/1.0"

// newLive makes a live of a configuration that was checked. What has not changed
// is taken over from the one before.
func (i *instance) newLive(c config, before *live) (*live, error) {
	l := &live{config: c, signers: newSigners(&c), header: make(http.Header)}
	l.header.Set("User-Agent", userAgent)
	for name, value := range c.Headers {
		l.header.Set(name, string(value))
	}
	l.header.Set("Content-Type", core.TypeJSON)
	var err error
	if l.wanted, err = newWanted(&c); err != nil {
		return nil, err
	}
	if before != nil && before.config.Concurrency == c.Concurrency && reflect.DeepEqual(before.config.Batch, c.Batch) {
		l.sink = before.sink
	} else if c.Batch == nil {
		l.sink = core.Each(c.Concurrency, i.deliver)
	} else {
		l.sink = newCollector(i, c.Batch.withDefaults(), c.Concurrency)
	}
	if before != nil && before.config.Concurrency == c.Concurrency && before.config.Timeout == c.Timeout &&
		before.config.PrivateAddresses == c.PrivateAddresses && reflect.DeepEqual(before.config.TLS, c.TLS) {
		l.client = before.client
		return l, nil
	}
	tls, err := c.TLS.Client()
	if err != nil {
		return nil, err
	}
	l.client = egress.New(egress.Options{
		Policy:      egress.Policy{Anywhere: c.PrivateAddresses},
		TLS:         tls,
		Timeout:     c.Timeout.Std(),
		Connections: c.Concurrency,
	})
	return l, nil
}

// wanted chooses what is posted.
type wanted struct {
	types   map[string]bool // nil: all
	filter  filter
	pattern *regexp.Regexp
}

func newWanted(c *config) (wanted, error) {
	w := wanted{filter: c.Filter}
	if c.EventTypes != nil {
		w.types = make(map[string]bool)
	}
	for _, name := range c.EventTypes {
		w.types[name] = true
	}
	var err error
	w.pattern, err = regexp.Compile(c.Filter.Pattern)
	return w, err
}
