package router

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/gammazero/nexus/v3/router"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// Options of a Router.
type Options struct {
	Realms []Realm
	// Codecs are the serializations offered.
	Codecs []*codec.Codec
	Limits

	Log     *slog.Logger
	Metrics *metrics.Metrics
}

// Client is who sent a request.
type Client struct {
	Address netip.Addr // invalid on a unix socket
	Host    string     // that it asked for
}

// Realm is one realm as it begins.
type Realm struct {
	Name          string
	StrictURI     bool
	AllowDisclose bool
	Policy        *Policy
	Directory     *auth.Directory
}

// Router is a running router. Its methods may be called from any goroutine.
type Router struct {
	options Options // without its limits, which can change
	core    router.Router
	realms  map[string]*realm
	events  *peer.Events
	limits  atomic.Pointer[Limits]
	relay   atomic.Pointer[func(message []byte)] // nil unless there are peers

	attaching sync.WaitGroup // calls into the core that let a session join

	mu          sync.Mutex
	closed      bool // no new connections and sessions: the core is about to close
	connections map[*connection]struct{}
	perAddress  map[netip.Addr]int
}

// realm is a realm of the router with what can change.
type realm struct {
	name   string
	policy atomic.Pointer[Policy]
	auth   *auth.Realm
}

// New starts a router. The caller closes it.
func New(options Options) (*Router, error) {
	r := &Router{
		options: options, realms: make(map[string]*realm),
		connections: make(map[*connection]struct{}), perAddress: make(map[netip.Addr]int),
	}
	r.events = peer.NewEvents()
	r.Adjust(options.Limits)
	attempts := auth.NewAttempts()
	config := &router.Config{}
	for _, given := range options.Realms {
		made := &realm{name: given.Name}
		made.policy.Store(given.Policy)
		made.auth = auth.NewRealm(given.Name, given.Directory, attempts, func(method string) {
			options.Metrics.AuthFailures.WithLabelValues(given.Name, method).Inc()
		})
		r.realms[given.Name] = made
		config.RealmConfigs = append(config.RealmConfigs, made.config(given, options.Metrics))
	}
	core, err := router.NewRouter(config, &coreLog{log: options.Log, dropped: r.dropped})
	if err != nil {
		return nil, fmt.Errorf("start the WAMP router: %w", err)
	}
	r.core = core
	return r, nil
}

// config is the realm for the core. It is the only place that makes one: a realm
// without RequireLocalAuth and RequireLocalAuthz would trust every client.
func (r *realm) config(given Realm, counts *metrics.Metrics) *router.RealmConfig {
	return &router.RealmConfig{
		URI:               wamp.URI(given.Name),
		StrictURI:         given.StrictURI,
		AllowDisclose:     given.AllowDisclose,
		RequireLocalAuth:  true,
		RequireLocalAuthz: true,
		MetaStrict:        true,
		Authenticators:    r.auth.Authenticators(),
		Authorizer: &authorizer{
			realm: given.Name, allowDisclose: given.AllowDisclose, policy: &r.policy, metrics: counts,
		},
		PublishFilterFactory: func(msg *wamp.Publish) router.PublishFilter {
			relayMarked(msg)
			return newFilter(msg)
		},
	}
}

// Policy is the realm's policy now; nil if there is no such realm.
func (r *Router) Policy(realm string) *Policy {
	if found := r.realms[realm]; found != nil {
		return found.policy.Load()
	}
	return nil
}

// Swap makes the policy and the directory of a realm that there is count.
func (r *Router) Swap(realm Realm) {
	found := r.realms[realm.Name]
	found.auth.Swap(realm.Directory)
	found.policy.Store(realm.Policy)
}

// Join opens a session of the bridge's own. It publishes as the role, which must
// be defined; without a role it may do everything. The caller closes it.
func (r *Router) Join(ctx context.Context, realm, role string) (*session.Session, error) {
	client, end := peer.NewPipe("bridge", role)
	if !r.enter() {
		return nil, session.ErrClosed
	}
	go func() {
		defer r.attaching.Done()
		if err := r.core.AttachClient(end, wamp.Dict{"type": "internal"}); err != nil {
			r.options.Log.Debug("own session refused", "realm", realm, "role", role, "reason", err)
		}
	}()
	return session.Join(ctx, client, session.Hello{Realm: wamp.URI(realm), Method: auth.MethodOwn})
}

// enter notes a call into the core, unless the core is about to close: then it
// must not be called any more. The caller ends with attaching.Done.
func (r *Router) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return false
	}
	r.attaching.Add(1)
	return true
}
