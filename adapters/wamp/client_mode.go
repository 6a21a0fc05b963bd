package wamp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync/atomic"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/client"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
	"github.com/pushbridge/bridge/core"
)

// clientInstance is an instance in mode client.
type clientInstance struct {
	config  Config
	metrics *metrics.Metrics
	client  *client.Client
	source  *source
	// policy is what endpoints may publish; nil: anything.
	policy atomic.Pointer[router.Policy]
}

func newClientInstance(config Config, host core.Host) (*clientInstance, error) {
	counts, err := metrics.New(host.Metrics())
	if err != nil {
		return nil, err
	}
	options, err := config.clientOptions(host, counts)
	if err != nil {
		return nil, err
	}
	i := &clientInstance{config: config, metrics: counts}
	i.policy.Store(config.clientPolicy())
	if config.TLS != nil && config.TLS.Insecure {
		host.Log().Warn("the outside router's certificate is not checked: anybody on the way can read and forge everything", "url", config.URL)
	}
	i.source = newSource(host, counts)
	for _, s := range config.Subscribe {
		options.Subscriptions = append(options.Subscriptions, client.Subscription{
			Topic: nexus.URI(s.Topic), Match: s.Match, Handler: i.source.message(config.Realm, s.Topic),
		})
	}
	i.client = client.New(options)
	return i, nil
}

// clientPolicy is what endpoints may publish.
func (c *Config) clientPolicy() *router.Policy {
	if len(c.Roles) == 0 {
		return nil
	}
	return policy(c.Roles, nil)
}

// clientOptions are the options of the client.
func (c *Config) clientOptions(host core.Host, counts *metrics.Metrics) (client.Options, error) {
	hello, err := c.hello()
	if err != nil {
		return client.Options{}, err
	}
	trust, err := c.TLS.clientTLS()
	if err != nil {
		return client.Options{}, err
	}
	return client.Options{
		Dial: peer.DialOptions{
			URL: c.URL, Codec: codec.Named(c.Serializer), TLS: trust, MaxMessage: int64(c.MaxMessageSize),
		},
		Peer: peer.Options{
			// What is sent and not acknowledged is bounded by the session's
			// window and by the bus's, so the queue needs no bound of its own.
			QueueMessages: math.MaxInt, QueueBytes: math.MaxInt,
			WriteTimeout: c.WriteTimeout.Std(), PingInterval: c.PingInterval.Std(), PingTimeout: c.PingTimeout.Std(),
		},
		Hello:          hello,
		ConnectTimeout: c.ConnectTimeout.Std(), AckTimeout: c.AckTimeout.Std(),
		Backoff:    client.Backoff{Initial: c.Reconnect.Initial.Std(), Cap: c.Reconnect.Cap.Std(), Factor: c.Reconnect.Factor},
		QueueItems: c.Queue.Events, QueueBytes: int(c.Queue.Bytes), TTL: c.Queue.TTL.Std(),
		Resend: c.Resend, Log: host.Log(), Metrics: counts,
	}, nil
}

// hello is how the bridge logs in.
func (c *Config) hello() (session.Hello, error) {
	realm := nexus.URI(c.Realm)
	switch c.Auth.method() {
	case "ticket":
		return client.Ticket(realm, c.Auth.AuthID, string(c.Auth.Ticket.Ticket)), nil
	case "wampcra":
		return client.WAMPCRA(realm, c.Auth.AuthID, string(c.Auth.Secret)), nil
	case "cryptosign":
		return client.Cryptosign(realm, c.Auth.AuthID, string(c.Auth.PrivateKey))
	}
	hello := session.Hello{Realm: realm, Method: "anonymous"}
	if c.Auth != nil {
		hello.AuthID = c.Auth.AuthID
	}
	return hello, nil
}

// Start implements core.Instance. It does not wait for the router, which may
// come later.
func (i *clientInstance) Start(context.Context) error {
	i.client.Start()
	return nil
}

// Stop implements core.Instance.
func (i *clientInstance) Stop(ctx context.Context) error {
	i.client.Stop(ctx)
	i.source.close()
	return nil
}

// Check implements core.Checker.
func (i *clientInstance) Check(context.Context) error {
	if err := i.client.Check(); err != nil {
		return fmt.Errorf("not joined to %s at %s: %w", i.config.Realm, i.config.URL, err)
	}
	return nil
}

// Deliver implements core.Sink.
func (i *clientInstance) Deliver(ctx context.Context, batch core.Batch) error {
	for n := range batch.Events {
		i.deliver(ctx, batch, n)
	}
	return nil
}

func (i *clientInstance) deliver(ctx context.Context, batch core.Batch, n int) {
	event := &batch.Events[n]
	messages, refusal := i.publications(event)
	switch {
	case refusal != nil:
		i.metrics.Publishes.WithLabelValues(i.config.Realm, "refused").Inc()
		batch.Answer(n, refusedReceipt(refusal))
		return
	case len(messages) == 0:
		batch.Answer(n, nobodyReceipt())
		return
	}
	d := &delivery{
		batch: batch, index: n, began: time.Now(), realm: i.config.Realm, metrics: i.metrics, open: len(messages),
	}
	for _, message := range messages {
		err := i.client.Publish(ctx, message, len(event.Data)+len(event.Topic), func(outcome session.Outcome, err error) {
			if err != nil {
				d.done(notSent(err))
				return
			}
			d.done(receiptOf(outcome))
		})
		if err != nil {
			d.done(notSent(err))
		}
	}
}

// notSent is the receipt of an event that did not leave the bridge.
func notSent(err error) core.Receipt {
	code := core.CodeNotRunning
	if errors.Is(err, client.ErrFull) {
		code = core.CodeQueueFull
	}
	return core.Receipt{Receivers: core.ReceiversUnknown, Err: core.RefuseRetry(code, time.Second, "%v", err)}
}

// publications are what the event becomes for the outside router.
func (i *clientInstance) publications(event *core.Event) ([]*nexus.Publish, *core.Refusal) {
	messages, refusal := publications(event, i.config.MaxURILength)
	if refusal != nil {
		return nil, refusal
	}
	policy, role := i.policy.Load(), event.Meta[metaRole]
	for _, m := range messages {
		if role != "" && policy != nil && !policy.Allows(role, permission.Publish, string(m.Topic), permission.Exact) {
			return nil, core.Refuse(string(nexus.ErrNotAuthorized), "role %q may not publish to %q", role, m.Topic)
		}
		if refusal := remoteOptions(event, m.Options); refusal != nil {
			return nil, refusal
		}
	}
	return messages, nil
}

// Answer implements core.Answerer. Without a session nobody could be served, so
// the answer is that there is none.
func (i *clientInstance) Answer(ctx context.Context, call core.Call) core.Answer {
	if call.Op != core.OpPublishAuthorize || call.Space != i.config.Realm {
		return core.Answer{None: true}
	}
	if err := i.Check(ctx); err != nil {
		return core.Answer{Err: core.RefuseRetry(core.CodeNotRunning, time.Second, "%v", err)}
	}
	return authorization(call, i.policy.Load(), i.config.MaxURILength)
}

// Reconfigure implements core.Reconfigurer: what endpoints may publish changes
// in place.
func (i *clientInstance) Reconfigure(_ context.Context, raw json.RawMessage) error {
	config, report := parse(raw)
	if err := report.Err(); err != nil {
		return err
	}
	if !reflect.DeepEqual(config.structural(), i.config.structural()) {
		return core.ErrRestart
	}
	i.policy.Store(config.clientPolicy())
	return nil
}
