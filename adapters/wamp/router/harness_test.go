package router_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// everything lets a role do all.
func everything(disclose bool) *permission.Set {
	rule := permission.Rule{Match: permission.Prefix, DiscloseCaller: disclose, DisclosePublisher: disclose}
	for action := permission.Call; action <= permission.Subscribe; action++ {
		rule.Allow[action] = true
	}
	return permission.NewSet([]permission.Rule{rule})
}

// realm lets anonymous clients do everything.
func realm(name string) router.Realm {
	return router.Realm{
		Name:      name,
		Policy:    &router.Policy{Roles: map[string]*permission.Set{"anonymous": everything(false)}, RPC: true},
		Directory: &auth.Directory{Anonymous: &auth.Anonymous{Role: "anonymous"}},
	}
}

// running is a router on a web server.
type running struct {
	*router.Router
	url      string
	registry *prometheus.Registry
}

func start(t testing.TB, change func(*router.Options)) *running {
	t.Helper()
	registry := prometheus.NewRegistry()
	counts, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	options := router.Options{
		Realms: []router.Realm{realm("realm1")},
		Limits: router.Limits{
			Peer: peer.Options{
				QueueMessages: 4096, QueueBytes: 8 << 20, WriteTimeout: 10 * time.Second,
				PingInterval: time.Minute, PingTimeout: time.Minute,
			},
			ClientOf: func(r *http.Request) router.Client {
				address, _ := netip.ParseAddrPort(r.RemoteAddr)
				return router.Client{Address: address.Addr(), Host: r.Host}
			},
			MaxMessage: 1 << 20, MaxURI: 100, MaxSessions: 1000, MaxSubscriptions: 100,
			PublishRate: rate.Inf, HelloTimeout: 5 * time.Second,
		},
		Log: coretest.Logger(t), Metrics: counts,
	}
	for _, name := range codec.Names() {
		options.Codecs = append(options.Codecs, codec.Named(name))
	}
	if change != nil {
		change(&options)
	}
	r, err := router.New(options)
	if err != nil {
		t.Fatal(err)
	}
	if err := registry.Register(r); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), wamptest.Patience)
		defer cancel()
		server.Close()
		r.Close(ctx)
	})
	return &running{Router: r, url: "ws" + strings.TrimPrefix(server.URL, "http"), registry: registry}
}
