package router

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/permission"
)

// script is a connection whose client sends what it was given, and then leaves.
type script struct {
	messages chan []byte
	answers  chan struct{} // a token for each message written; full: nobody counts
	once     sync.Once
	closed   chan struct{}
}

func (s *script) Read() ([]byte, error) {
	select {
	case data, ok := <-s.messages:
		if ok {
			return data, nil
		}
	case <-s.closed:
	}
	return nil, io.EOF
}

func (s *script) Write(messages [][]byte, _ time.Time) error {
	for range messages {
		select {
		case s.answers <- struct{}{}:
		default:
		}
	}
	return nil
}

func (s *script) Ping(context.Context) error { return nil }

func (s *script) Close(context.Context, peer.CloseCode, string) {
	s.once.Do(func() { close(s.closed) })
}

// FuzzSession has a client that may do everything send any lines of JSON, before
// or after joining: the router must neither panic nor stop.
func FuzzSession(f *testing.F) {
	join := `[1,"r",{"roles":{"publisher":{"features":{"payload_passthru_mode":true}},"subscriber":{},` +
		`"caller":{"features":{"payload_passthru_mode":true,"progressive_call_invocations":true,"call_canceling":true}},` +
		`"callee":{"features":{"payload_passthru_mode":true,"progressive_call_invocations":true,"call_canceling":true,"progressive_call_results":true}}}}]`
	for _, lines := range []string{
		join + "\n" + `[16,1,{"acknowledge":true,"exclude_me":false},"a.b",[1],{"k":2}]`,
		join + "\n" + `[32,1,{"match":"prefix"},"a"]` + "\n" + `[16,2,{"exclude_me":false,"eligible":[1],"ppt_scheme":"x"},"a"]` + "\n" + `[34,3,1]`,
		join + "\n" + `[64,1,{"invoke":"roundrobin"},"p"]` + "\n" + `[48,2,{"progress":true,"timeout":5,"receive_progress":true},"p",[1]]` + "\n" + `[70,1,{"progress":true}]` + "\n" + `[49,2,{"mode":"kill"}]` + "\n" + `[8,68,1,{},"e"]` + "\n" + `[66,3,20]`,
		join + "\n" + `[48,1,{},"wamp.session.add_testament",["a.b",[],{}],{"publish_options":{"exclude":[1]},"scope":"destroyed"}]` + "\n" + `[48,2,{},"wamp.session.flush_testaments"]` + "\n" + `[6,{},"bye"]`,
		join + "\n" + `[48,1,{},"wamp.subscription.get_events",[1],{"limit":1,"from_time":"2020-01-01T00:00:00Z"}]` + "\n" + `[48,2,{},"wamp.session.list",[["x"]]]` + "\n" + `[48,3,{},"wamp.registration.match",["p"]]` + "\n" + `[48,4,{},"wamp.session.get",[1]]`,
		join + "\n" + `[48,1,{},"wamp.subscription.lookup",["a",{"match":"prefix"}]]` + "\n" + `[48,2,{},"wamp.subscription.list_subscribers",[1]]` + "\n" + `[48,3,{},"wamp.registration.list_callees",[1]]`,
		`[32,1,{},"early"]`, `[5,"s",{}]`, join + "\n" + join, `[3,{},"x"]`, `garbage`,
	} {
		f.Add([]byte(lines))
	}
	r := fuzzed(f)
	f.Fuzz(func(t *testing.T, lines []byte) {
		s := &script{messages: make(chan []byte), answers: make(chan struct{}, 1), closed: make(chan struct{})}
		c := &connection{router: r, codec: codec.Named("json"), publishes: rate.NewLimiter(rate.Inf, 1)}
		options := r.limits.Load().Peer
		options.Codec, options.Guard = c.codec, c
		p := peer.New(s, options)
		c.peer.Store(p)
		go c.attach(p)
		for line := range bytes.Lines(lines) {
			select {
			case s.messages <- line:
			case <-p.Done():
			}
		}
		close(s.messages)
		<-p.Finished()
	})
}

// fuzzed is a router where everybody may do everything.
func fuzzed(f *testing.F) *Router {
	counts, err := metrics.New(prometheus.NewRegistry())
	if err != nil {
		f.Fatal(err)
	}
	all := permission.Rule{Match: permission.Prefix}
	for action := permission.Call; action <= permission.Subscribe; action++ {
		all.Allow[action] = true
	}
	r, err := New(Options{
		Realms: []Realm{{
			Name: "r", AllowDisclose: true,
			Policy:    &Policy{RPC: true, Roles: map[string]*permission.Set{"a": permission.NewSet([]permission.Rule{all})}},
			Directory: &auth.Directory{Anonymous: &auth.Anonymous{Role: "a"}},
		}},
		Limits: Limits{
			Peer: peer.Options{
				QueueMessages: 1000, QueueBytes: 1 << 20, WriteTimeout: time.Second, PingInterval: time.Hour, PingTimeout: time.Hour,
			},
			MaxMessage: 1 << 20, MaxURI: 1000, MaxSessions: 10, MaxSubscriptions: 100, PublishRate: rate.Inf,
			HelloTimeout: time.Second,
		},
		Log: slog.New(slog.DiscardHandler), Metrics: counts,
	})
	if err != nil {
		f.Fatal(err)
	}
	r.Relay(func(message []byte) {
		if _, _, err := Relayed(message); err != nil {
			f.Errorf("%q: %v", message, err)
		}
	})
	f.Cleanup(func() { r.Close(context.Background()) })
	return r
}

// TestEveryRealmIsChecked holds the two settings without which the core trusts
// every peer of ours.
func TestEveryRealmIsChecked(t *testing.T) {
	made := &realm{name: "r", auth: auth.NewRealm("r", &auth.Directory{}, auth.NewAttempts(), func(string) {})}
	config := made.config(Realm{Name: "r"}, nil)
	if !config.RequireLocalAuth || !config.RequireLocalAuthz || config.Authorizer == nil || config.AnonymousAuth || !config.MetaStrict ||
		config.EnableMetaKill || config.EnableMetaModify || config.PublishFilterFactory == nil || config.TopicEventHistoryConfigs != nil {
		t.Errorf("%+v", config)
	}
}

// TestCoreDrops reads the core's line about a lost message and wants the session
// to be ended that lost it.
func TestCoreDrops(t *testing.T) {
	for _, tt := range []struct {
		kind       wamp.MessageType
		dropEvents bool
		ends       bool
	}{{wamp.EVENT, false, true}, {wamp.EVENT, true, false}, {wamp.SUBSCRIBED, true, true}} {
		counts, err := metrics.New(prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		r := &Router{options: Options{Metrics: counts, Log: slog.New(slog.DiscardHandler)},
			connections: make(map[*connection]struct{}), perAddress: make(map[netip.Addr]int)}
		r.Adjust(Limits{Peer: peer.Options{DropEvents: tt.dropEvents}})
		s := &script{messages: make(chan []byte), closed: make(chan struct{})}
		c := &connection{router: r, codec: codec.Named("json")}
		p := peer.New(s, peer.Options{
			Codec: c.codec, Guard: c, QueueMessages: 1, QueueBytes: 1, WriteTimeout: time.Second, PingInterval: time.Hour, PingTimeout: time.Hour,
		})
		c.peer.Store(p)
		log := &coreLog{log: r.options.Log, dropped: r.dropped}
		log.Println("!!! something else")
		log.Printf("!!! Dropped %s to session %s: blocked", tt.kind, wamp.NewSession(attached{p, c}, 1, nil, nil))
		select {
		case <-p.Done():
			if !tt.ends {
				t.Errorf("%+v: ended", tt)
			}
		default:
			if tt.ends {
				t.Errorf("%+v: not ended", tt)
			}
		}
		p.End(peer.End{})
		<-p.Finished()
	}
}

// guard is the guard of a client that has said HELLO.
func guard(limit rate.Limit, burst int) *connection {
	c := &connection{router: new(Router), publishes: rate.NewLimiter(limit, burst)}
	c.router.Adjust(Limits{MaxURI: 100, MaxSubscriptions: 10})
	c.greeted.Store(true)
	return c
}

// TestCallTimeout wants a caller's timeout not to reach the core, whose timers
// would fire after it is closed and end the process.
func TestCallTimeout(t *testing.T) {
	call := &wamp.Call{Request: 1, Procedure: "p", Options: wamp.Dict{"timeout": int64(5), "receive_progress": true}}
	pass, answer, err := guard(rate.Inf, 1).Incoming(call)
	if pass != call || answer != nil || err != nil || len(call.Options) != 1 {
		t.Errorf("passed %+v, %+v, %v", pass, answer, err)
	}
}

func TestPublishRate(t *testing.T) {
	c := guard(rate.Every(time.Hour), 3)
	for range 3 {
		if pass, _, err := c.Incoming(&wamp.Publish{Request: 1, Topic: "t"}); pass == nil || err != nil {
			t.Fatalf("%v, %v", pass, err)
		}
	}
	if c.publishes.Allow() {
		t.Error("publications do not count")
	}
	if burst(rate.Inf) < 1 || burst(0.5) != 1 || burst(20) != 20 {
		t.Errorf("bursts %d, %d, %d", burst(rate.Inf), burst(0.5), burst(20))
	}
}

// FuzzRelayed reads any message of a peer without harm.
func FuzzRelayed(f *testing.F) {
	data, err := encodeRelayed(&wamp.Publish{
		Options: wamp.Dict{"exclude": wamp.List{int64(1)}, "eligible_authid": wamp.List{}, "exclude_me": false, "disclose_me": true, "ppt_scheme": "x"},
		Topic:   "a.b", Arguments: wamp.List{"x", nil}, ArgumentsKw: wamp.Dict{"k": 1.5},
	}, 7, &grant{realm: "r", role: "s", authID: "a", session: 8})
	if err != nil {
		f.Fatal(err)
	}
	realm, m, err := Relayed(data)
	if err != nil || realm != "r" || m.Topic != "a.b" || len(m.Options) != 3 {
		f.Fatalf("%s %+v %v", realm, m, err)
	}
	event := &wamp.Event{Publication: 1, Arguments: m.Arguments, Details: wamp.Dict{}}
	Unwrap(event)
	if event.Publication != 7 || len(event.Arguments) != 2 || event.ArgumentsKw["k"] != 1.5 || len(event.Details) != 4 {
		f.Fatalf("%+v", event)
	}
	f.Add(data)
	f.Add([]byte{0x80})
	f.Add([]byte{0x84, 0x10, 0x01, 0xa0, 0x61, 'a'})
	f.Fuzz(func(_ *testing.T, message []byte) {
		_, m, err := Relayed(message)
		if err == nil {
			Unwrap(&wamp.Event{Arguments: m.Arguments, Details: wamp.Dict{}})
		}
	})
}
