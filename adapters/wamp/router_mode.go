package wamp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/gate"
	"github.com/pushbridge/bridge/core/kit/httpin"
)

// routerInstance is an instance in mode router.
type routerInstance struct {
	config   Config // as it was opened; of what can change, the rest has it
	host     core.Host
	metrics  *metrics.Metrics
	router   *router.Router
	endpoint *httpin.Endpoint
	source   *source
	sessions *sessions
	maxURI   atomic.Int64
	started  atomic.Bool
	stopped  atomic.Bool

	// working ends when the instance stops: nobody may be held up any more.
	working context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex         // also held while looking at the peers
	sources []*session.Session // that listen

	deliveries gate.Gate
}

func newRouterInstance(config Config, host core.Host) (*routerInstance, error) {
	counts, err := metrics.New(host.Metrics())
	if err != nil {
		return nil, err
	}
	options, err := config.routerOptions(host, counts)
	if err != nil {
		return nil, err
	}
	made, err := router.New(options)
	if err != nil {
		return nil, err
	}
	i := &routerInstance{metrics: counts, router: made, config: config, host: host}
	i.working, i.cancel = context.WithCancel(context.Background())
	i.maxURI.Store(int64(config.MaxURILength))
	i.sessions = newSessions(made)
	i.source = newSource(host, counts)
	handlers := make(map[string]http.Handler)
	for _, path := range config.Paths {
		handlers[pattern(path)] = made
	}
	i.endpoint, err = httpin.NewEndpoint(host, config.endpoint(), handlers)
	if err != nil {
		i.release(context.Background())
		return nil, err
	}
	if err := host.Metrics().Register(made); err != nil {
		return nil, errors.Join(fmt.Errorf("register metrics: %w", err), i.Stop(context.Background()))
	}
	return i, nil
}

// pattern is a path for http.ServeMux; / is that path alone.
func pattern(path string) string {
	if path == "/" {
		return "/{$}"
	}
	return path
}

// Start implements core.Instance.
func (i *routerInstance) Start(ctx context.Context) error {
	i.PeersChanged(ctx) // news of them may be under way, and clients come now
	for n := range i.config.Realms {
		if err := i.subscribe(ctx, i.config.Realms[n].Name); err != nil {
			return err
		}
	}
	if err := i.endpoint.Start(ctx); err != nil {
		return err
	}
	i.started.Store(true)
	return nil
}

// subscribe opens the session that listens in a realm, if anything is to be
// heard there.
func (i *routerInstance) subscribe(ctx context.Context, realm string) error {
	var topics []Subscription
	for _, s := range i.config.Subscribe {
		if s.Realm == realm || s.Realm == "" {
			topics = append(topics, s)
		}
	}
	if len(topics) == 0 && !i.config.Happenings {
		return nil
	}
	s, err := i.router.Join(ctx, realm, "")
	if err != nil {
		return fmt.Errorf("join realm %s: %w", realm, err)
	}
	i.mu.Lock()
	i.sources = append(i.sources, s)
	i.mu.Unlock()
	i.sessions.exclude(realm, s.ID)
	for _, topic := range topics {
		if _, err := s.Subscribe(ctx, nexus.URI(topic.Topic), sourceMatch(topic.Match), i.source.message(realm, topic.Topic)); err != nil {
			return fmt.Errorf("subscribe to %s in realm %s: %w", topic.Topic, realm, err)
		}
	}
	if i.config.Happenings {
		return i.subscribeMeta(ctx, s, realm)
	}
	return nil
}

func (i *routerInstance) subscribeMeta(ctx context.Context, s *session.Session, realm string) error {
	h := newHappenings(i.source, realm)
	for topic, handler := range map[nexus.URI]func(*nexus.Event){
		nexus.MetaEventSubOnCreate: h.created, nexus.MetaEventSubOnDelete: h.deleted,
	} {
		if _, err := s.Subscribe(ctx, topic, nexus.MatchExact, handler); err != nil {
			return fmt.Errorf("subscribe to %s in realm %s: %w", topic, realm, err)
		}
	}
	return nil
}

// sourceMatch lets the bridge listen to one topic by a pattern that has nothing
// but that topic: so its subscription is another one than the clients', and the
// topic is occupied and vacated by clients alone.
func sourceMatch(match string) string {
	if match == nexus.MatchExact {
		return nexus.MatchWildcard
	}
	return match
}

// Deliver implements core.Sink.
func (i *routerInstance) Deliver(ctx context.Context, batch core.Batch) error {
	if !i.deliveries.Enter(1) {
		return core.RefuseRetry(core.CodeNotRunning, time.Second, "the WAMP router is stopped")
	}
	defer i.deliveries.Leave(1)
	for n := range batch.Events {
		i.deliver(ctx, batch, n)
	}
	return nil
}

// deliver publishes one event. It blocks while too many publications wait for
// the router.
func (i *routerInstance) deliver(ctx context.Context, batch core.Batch, n int) {
	event := &batch.Events[n]
	realm, refusal := i.realmOf(event.Space)
	if refusal == nil {
		refusal = i.knownRole(realm, event.Meta[metaRole])
	}
	var messages []*nexus.Publish
	if refusal == nil {
		messages, refusal = publications(event, int(i.maxURI.Load()))
	}
	switch {
	case refusal != nil:
		i.metrics.Publishes.WithLabelValues(realm, "refused").Inc()
		batch.Answer(n, refusedReceipt(refusal))
		return
	case len(messages) == 0:
		batch.Answer(n, nobodyReceipt())
		return
	}
	d := &delivery{
		batch: batch, index: n, began: time.Now(), realm: realm, metrics: i.metrics, open: len(messages),
	}
	for _, message := range messages {
		err := i.sessions.publish(ctx, realm, event.Meta[metaRole], message, func(outcome session.Outcome) {
			d.done(receiptOf(outcome))
		})
		if err != nil {
			d.done(core.Receipt{Receivers: core.ReceiversUnknown, Err: core.RefuseRetry(core.CodeNotRunning, time.Second,
				"there is no session to publish with: %v", err)})
		}
	}
}

// realmOf is the realm of a space: the only one, or the one of that name.
func (i *routerInstance) realmOf(space string) (string, *core.Refusal) {
	if len(i.config.Realms) == 1 {
		return i.config.Realms[0].Name, nil
	}
	if i.router.Policy(space) == nil {
		return "", core.Refuse(core.CodeSpaceUnknown,
			"this router has several realms, none of them %q: name one with set.space", space)
	}
	return space, nil
}

// knownRole refuses a role that the realm does not define, for which there is no
// session to publish with.
func (i *routerInstance) knownRole(realm, role string) *core.Refusal {
	if role == "" || i.router.Policy(realm).HasRole(role) {
		return nil
	}
	return notAuthorized(role, realm)
}

func notAuthorized(role, realm string) *core.Refusal {
	return core.Refuse(string(nexus.ErrNotAuthorized), "realm %s does not define the role %q", realm, role)
}

// Answer implements core.Answerer. It does so before Start too: a generation that
// has not taken over yet must not keep anybody from publishing.
func (i *routerInstance) Answer(_ context.Context, call core.Call) core.Answer {
	if i.stopped.Load() {
		return core.Answer{Err: core.RefuseRetry(core.CodeNotRunning, time.Second, "the WAMP router is stopped")}
	}
	if call.Op != core.OpPublishAuthorize {
		return i.answerListeners(call)
	}
	policy := i.router.Policy(call.Space)
	if policy == nil {
		return core.Answer{None: true}
	}
	return authorization(call, policy, int(i.maxURI.Load()))
}

// authorization answers whether a role may publish. Without a policy every role
// may.
func authorization(call core.Call, policy *router.Policy, maxURI int) core.Answer {
	var params core.AuthorizeParams
	if err := call.Decode(&params); err != nil {
		return core.Answer{Err: core.Refuse(core.CodeInvalidEvent, "%v", err)}
	}
	answer := core.Authorization{Allowed: true}
	switch {
	case router.Reserved(call.Topic), len(call.Topic) > maxURI, !nexus.URI(call.Topic).ValidURI(false, ""):
		answer = denial(nexus.ErrInvalidURI, "the topic is reserved or no valid URI")
	case policy != nil && !policy.Allows(params.Role, permission.Publish, call.Topic, permission.Exact):
		answer = denial(nexus.ErrNotAuthorized, fmt.Sprintf("role %q may not publish to %q", params.Role, call.Topic))
	}
	return core.NewAnswer(answer)
}

func denial(uri nexus.URI, text string) core.Authorization {
	args, _ := json.Marshal([]string{text}) // a text is always JSON
	return core.Authorization{Error: string(uri), Args: args, Kwargs: json.RawMessage(`{}`)}
}

// Check implements core.Checker.
func (i *routerInstance) Check(context.Context) error {
	if !i.started.Load() || i.endpoint.Addr() == nil {
		return errors.New("the WAMP router is not listening")
	}
	return nil
}

// Reconfigure implements core.Reconfigurer: permissions, roles, users and limits
// change in place. Sessions stay what they are: whoever has logged in with a ticket
// that is gone goes on until it leaves, with what its role may do now. The limits of
// a connection's queue, messages and times count for new connections.
func (i *routerInstance) Reconfigure(_ context.Context, raw json.RawMessage) error {
	config, report := parse(raw)
	if err := report.Err(); err != nil {
		return err
	}
	if !reflect.DeepEqual(config.structural(), i.config.structural()) {
		return core.ErrRestart
	}
	options, err := config.realmOptions()
	if err != nil {
		return err
	}
	limits, err := config.limits()
	if err != nil {
		return err
	}
	for _, realm := range options {
		i.router.Swap(realm)
	}
	i.router.Adjust(limits)
	i.maxURI.Store(int64(config.MaxURILength))
	return nil
}

// Drain implements core.Drainer. Sessions are sent away one by one; who connects
// meanwhile, by a connection that this generation has already accepted, comes last.
func (i *routerInstance) Drain(ctx context.Context) error {
	i.PeersChanged(ctx) // there is one now at the latest
	listening := make(chan error, 1)
	go func() { listening <- i.endpoint.Drain(ctx) }()
	i.router.Drain(ctx)
	if err := <-listening; err != nil {
		return fmt.Errorf("stop listening: %w", err)
	}
	i.router.Drain(ctx)
	return nil
}

// Stop implements core.Instance.
func (i *routerInstance) Stop(ctx context.Context) error {
	i.started.Store(false)
	i.stopped.Store(true)
	err := i.endpoint.Stop(ctx)
	i.release(ctx)
	return err
}

// release ends everything but the endpoint: publications that are under way,
// the bridge's own sessions, the clients' sessions, the router.
func (i *routerInstance) release(ctx context.Context) {
	i.router.Relay(nil)
	i.cancel()
	i.deliveries.Close()
	_ = i.deliveries.Wait(ctx) // what is under way when its time is over is cut off below
	i.sessions.close()
	i.mu.Lock()
	sources := i.sources
	i.sources = nil
	i.mu.Unlock()
	for _, s := range sources {
		leave(s)
	}
	i.source.close()
	i.router.Close(ctx)
}
