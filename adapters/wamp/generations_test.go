package wamp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/wamp"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
	"github.com/pushbridge/bridge/core/peers"
)

// generation is the host of an instance that has peers, and the way of its peers to
// it.
type generation struct {
	*coretest.Host
	joined  chan struct{} // closed when member is set
	member  *peers.Member
	adapted core.PeerReceiver
	changes chan []string
	relayed atomic.Int32
}

// Peers implements core.Host.
func (g *generation) Peers() core.Peers { return g }

// List implements core.Peers.
func (g *generation) List() []string {
	<-g.joined
	return g.member.List()
}

// Broadcast implements core.Peers.
func (g *generation) Broadcast(ctx context.Context, message []byte) error {
	g.relayed.Add(1)
	return g.member.Broadcast(ctx, [][]byte{bytes.Clone(message)})
}

// Receive implements peers.Receiver.
func (g *generation) Receive(ctx context.Context, messages []peers.Message) error {
	for _, m := range messages {
		g.adapted.FromPeer(ctx, m.Peer, bytes.Clone(m.Data))
	}
	return nil
}

// Changed implements peers.Receiver.
func (g *generation) Changed(ctx context.Context, names []string) error {
	g.adapted.PeersChanged(ctx)
	g.changes <- names
	return nil
}

// openGeneration opens and starts an instance among the peers of the registry.
func openGeneration(t testing.TB, registry *peers.Registry, config string) (*instance, *generation) {
	t.Helper()
	g := &generation{
		Host: coretest.NewHost(t), joined: make(chan struct{}),
		changes: make(chan []string, 10), // more than come
	}
	listen := freeAddress(t)
	opened, err := wamp.Adapter{}.Open(t.Context(), "test", json.RawMessage(strings.ReplaceAll(config, "LISTEN", listen)), g)
	if err != nil {
		t.Fatal(err)
	}
	g.adapted = opened.(core.PeerReceiver)
	g.member = registry.Join("test", g)
	close(g.joined)
	i := &instance{Instance: opened, t: t, host: g.Host, url: "ws://" + listen + "/ws"}
	t.Cleanup(func() {
		i.stop()
		g.member.Leave()
	})
	if err := i.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return i, g
}

// both are two generations that know of each other.
func both(t *testing.T, config string) (one, other *instance, from *generation) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	registry := peers.NewRegistry()
	one, from = openGeneration(t, registry, config)
	other, to := openGeneration(t, registry, config)
	if len(<-from.changes) != 1 || len(<-to.changes) != 1 {
		t.Fatal("they do not know of each other")
	}
	return one, other, from
}

// twoRoles has a role that is disclosed, and logins by ticket.
const twoRoles = `{"mode": "router", "listen": "LISTEN", "subscribe": [{"topic": "t"}],
	"realms": [{"name": "realm1", "allow_disclose": true,
		"auth": {"anonymous": {}, "ticket": {"principals": {
			"ann": {"ticket": "a", "role": "anonymous"}, "bob": {"ticket": "b", "role": "shown"}}}},
		"roles": [
			{"name": "anonymous", "permissions": [{"uri": "*", "allow": {"publish": true, "subscribe": true}}, {"uri": "forbidden"}]},
			{"name": "shown", "permissions": [{"uri": "*", "allow": {"publish": true, "subscribe": true}, "disclose": {"publisher": true}}]}]}]}`

// login joins with a ticket.
func login(t testing.TB, url, serializer, authID, ticket string) (*Raw, *nexus.Welcome) {
	t.Helper()
	raw := Dial(t, url, serializer, nil)
	raw.Send(Hello("realm1", nexus.Dict{"authmethods": nexus.List{"ticket"}, "authid": authID}))
	Receive[*nexus.Challenge](raw)
	raw.Send(&nexus.Authenticate{Signature: ticket})
	return raw, raw.Welcome()
}

// publish publishes and returns the publication's id.
func publish(raw *Raw, topic string, options nexus.Dict, args ...any) nexus.ID {
	all := nexus.Dict{"acknowledge": true}
	for name, value := range options {
		all[name] = value
	}
	raw.Send(&nexus.Publish{Request: 1, Options: all, Topic: nexus.URI(topic), Arguments: args})
	return Receive[*nexus.Published](raw).Publication
}

// TestGenerations carries what a client of one generation publishes to the
// subscribers of the other, as if there were one router.
func TestGenerations(t *testing.T) {
	one, other, from := both(t, twoRoles)
	publisher, welcome := login(t, one.url, "msgpack", "bob", "b")
	beside := Join(t, one.url, "json", "realm1")
	beside.Subscribe("t", "exact")
	exact, annWelcome := login(t, other.url, "cbor", "ann", "a")
	exact.Subscribe("t", "exact")
	prefix := Join(t, other.url, "json", "realm1")
	prefix.Subscribe("t", "prefix")

	id := publish(publisher, "t", nil, "first", []byte{0, 255}, 1.5)
	for name, raw := range map[string]*Raw{"beside": beside, "exact": exact, "prefix": prefix} {
		event := Receive[*nexus.Event](raw)
		if event.Publication != id {
			t.Errorf("%s: publication %d, want %d", name, event.Publication, id)
		}
		if len(event.Arguments) != 3 || event.Arguments[0] != "first" || !bytes.Equal(event.Arguments[1].([]byte), []byte{0, 255}) {
			t.Errorf("%s: arguments %v", name, event.Arguments)
		}
		session, _ := nexus.AsID(event.Details["publisher"])
		if session != welcome.ID || event.Details["publisher_authid"] != "bob" || event.Details["publisher_authrole"] != "shown" {
			t.Errorf("%s: details %v", name, event.Details)
		}
		if topic := event.Details["topic"]; (name == "prefix") != (topic == "t") {
			t.Errorf("%s: topic %v", name, topic)
		}
	}

	// Who is to get it counts in both.
	publish(publisher, "t", nexus.Dict{"exclude_authid": nexus.List{"ann"}}, "not for ann")
	publish(publisher, "t", nexus.Dict{"eligible": nexus.List{annWelcome.ID}}, "for ann")
	publish(publisher, "t", nexus.Dict{"eligible_authrole": nexus.List{}}, "for nobody")
	anonymous := Join(t, one.url, "json", "realm1")
	anonymous.Send(&nexus.Publish{Request: 1, Options: nexus.Dict{"acknowledge": true}, Topic: "forbidden"})
	Receive[*nexus.Error](anonymous)
	anonymous.Send(&nexus.Publish{Request: 2, Options: nexus.Dict{"bridge.origin": true}, Topic: "t", ArgumentsKw: nexus.Dict{"k": "last"}})
	for raw, want := range map[*Raw]string{beside: "not for ann", exact: "for ann", prefix: "not for ann"} {
		if got := Receive[*nexus.Event](raw); !slices.Equal(got.Arguments, nexus.List{want}) {
			t.Errorf("got %v, want %s", got.Arguments, want)
		}
		last := Receive[*nexus.Event](raw)
		if _, disclosed := last.Details["publisher"]; disclosed || last.ArgumentsKw["k"] != "last" || len(last.Arguments) != 0 {
			t.Errorf("got %+v", last)
		}
	}
	if n := from.relayed.Load(); n != 5 {
		t.Errorf("%d publications were relayed, want 5", n)
	}

	// The bus heard each from the generation that it was published in, once.
	published := one.host.WaitPublished(t.Context(), 3) // those without lists, and the one that excludes ann
	if string(published[0].Events[0].Data) != `{"args":["first","\u0000AP8=",1.5],"kwargs":{}}` {
		t.Errorf("the bus got %s", published[0].Events[0].Data)
	}
	if n := len(other.host.Published()); n != 0 {
		t.Errorf("the other generation published %d events", n)
	}
}

// TestGenerationsBus does not carry what both get from the bus.
func TestGenerationsBus(t *testing.T) {
	one, other, from := both(t, twoRoles)
	for _, i := range []*instance{one, other} {
		raw := Join(t, i.url, "json", "realm1")
		raw.Subscribe("t", "exact")
		one.accepted(core.Event{Topic: "t", Type: core.TypeText, Data: []byte("1"), Meta: map[string]string{"wamp.role": "shown"}})
		other.accepted(core.Event{Topic: "t", Type: core.TypeText, Data: []byte("1")})
		i.accepted(core.Event{Topic: "t", Type: core.TypeText, Data: []byte("2")})
		for _, want := range []string{"1", "2"} {
			if event := Receive[*nexus.Event](raw); event.Arguments[0] != want {
				t.Errorf("got %v, want %s", event.Arguments, want)
			}
		}
	}
	if n := from.relayed.Load(); n != 0 {
		t.Errorf("%d events of the bus were relayed", n)
	}
}

// TestGenerationsOrder keeps the order of a client's publications, and carries
// nothing once the other generation is gone.
func TestGenerationsOrder(t *testing.T) {
	const n = 2000
	registry := peers.NewRegistry()
	one, from := openGeneration(t, registry, routerConfig(""))
	publisher := Join(t, one.url, "json", "realm1")
	publish(publisher, "t", nil, "alone")
	other, _ := openGeneration(t, registry, routerConfig(""))
	<-from.changes
	raw := Join(t, other.url, "json", "realm1")
	raw.Subscribe("t", "exact")
	for k := range n {
		publisher.Send(&nexus.Publish{Request: nexus.ID(k + 1), Topic: "t", Arguments: nexus.List{k}})
	}
	for k := range n {
		if got := Receive[*nexus.Event](raw).Arguments[0]; got != int64(k) {
			t.Fatalf("event %d is %v", k, got)
		}
	}
	other.stop()
	if answer := other.authorize("realm1", "t", "anonymous"); answer.Err == nil {
		t.Error("a stopped generation answers")
	}
	publish(publisher, "t", nil, "to a generation that is stopped")
}

// TestAnswerBeforeStart does not let a generation that has not taken over stand in
// anybody's way.
func TestAnswerBeforeStart(t *testing.T) {
	config := strings.ReplaceAll(routerConfig(""), "LISTEN", "127.0.0.1:1")
	opened, err := wamp.Adapter{}.Open(t.Context(), "test", json.RawMessage(config), coretest.NewHost(t))
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{Instance: opened, t: t}
	defer i.stop()
	var authorization core.Authorization
	if err := i.authorize("realm1", "t", "anonymous").Decode(&authorization); err != nil || !authorization.Allowed {
		t.Errorf("%+v, %v", authorization, err)
	}
}

// TestDrainLateComers lets in who comes by a connection that was accepted before
// the drain, and sends it away with the rest.
func TestDrainLateComers(t *testing.T) {
	i := open(t, routerConfig(""))
	early := Join(t, i.url, "json", "realm1")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	listen := strings.TrimSuffix(strings.TrimPrefix(i.url, "ws://"), "/ws")
	conn, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	second := Join(t, i.url, "json", "realm1") // accepted after it
	second.Close()
	drained := make(chan error, 1)
	go func() { drained <- i.Instance.(core.Drainer).Drain(ctx) }()
	if goodbye := Receive[*nexus.Goodbye](early); goodbye.Reason != nexus.ErrSystemShutdown {
		t.Errorf("reason %s", goodbye.Reason)
	}
	late := DialOn(t, conn, i.url, "json")
	late.Send(Hello("realm1", nil))
	late.Welcome()
	early.Send(&nexus.Goodbye{Reason: nexus.ErrGoodbyeAndOut})
	early.Ended()
	if goodbye := Receive[*nexus.Goodbye](late); goodbye.Reason != nexus.ErrSystemShutdown {
		t.Errorf("reason %s", goodbye.Reason)
	}
	late.Send(&nexus.Goodbye{Reason: nexus.ErrGoodbyeAndOut})
	late.Ended()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// ask calls an op and decodes its answer.
func ask[T any](i *instance, op, space, topic string, params any) T {
	i.t.Helper()
	call, err := core.NewCall(op, space, topic, params)
	if err != nil {
		i.t.Fatal(err)
	}
	answer := i.Instance.(core.Answerer).Answer(i.t.Context(), call)
	var value T
	if answer.None || answer.Err != nil {
		i.t.Fatalf("%s: %+v", op, answer)
	}
	if err := answer.Decode(&value); err != nil {
		i.t.Fatal(err)
	}
	return value
}

func TestListeners(t *testing.T) {
	i := open(t, twoRoles) // which itself listens to t
	ann, _ := login(t, i.url, "json", "ann", "a")
	again, _ := login(t, i.url, "cbor", "ann", "a")
	bob, _ := login(t, i.url, "json", "bob", "b")
	nobody := Join(t, i.url, "json", "realm1")
	for _, raw := range []*Raw{ann, again, bob, nobody} {
		raw.Subscribe("room.1", "exact")
	}
	left := bob.Subscribe("room.2", "exact")
	bob.Subscribe("room.", "prefix")
	bob.Subscribe("wamp.session.on_join", "exact")
	bob.Subscribe("other", "exact")

	list := func(params core.ChannelsParams) string {
		channels := ask[core.Channels](i, core.OpChannelsList, "any", "", params).Channels
		var texts []string
		for name, c := range channels {
			texts = append(texts, fmt.Sprintf("%s: %d %v", name, c.Subscriptions, c.Users))
		}
		slices.Sort(texts)
		return strings.Join(texts, ", ")
	}
	if got := list(core.ChannelsParams{Prefix: "room.", Users: true}); got != "room.1: 4 [ann bob], room.2: 1 [bob]" {
		t.Errorf("got %s", got)
	}
	if got := list(core.ChannelsParams{Names: []string{"other", "nothing"}}); got != "other: 1 []" {
		t.Errorf("got %s", got)
	}
	if all := ask[core.Channels](i, core.OpChannelsList, "realm1", "", nil).Channels; len(all) != 3 {
		t.Errorf("got %v", all)
	}
	if got := ask[core.Channel](i, core.OpChannelsGet, "realm1", "room.1", core.ChannelParams{Users: true}); got.Subscriptions != 4 || len(got.Users) != 2 {
		t.Errorf("got %+v", got)
	}
	if got := ask[core.Channel](i, core.OpChannelsGet, "realm1", "t", nil); got.Subscriptions != 0 {
		t.Errorf("got %+v", got)
	}
	if got := ask[core.Members](i, core.OpChannelsMembers, "realm1", "room.1", nil); !got.Known || !slices.Equal(got.Users, []string{"ann", "bob"}) {
		t.Errorf("got %+v", got)
	}
	bob.Send(&nexus.Unsubscribe{Request: 7, Subscription: left})
	Receive[*nexus.Unsubscribed](bob)
	if got := ask[core.Channel](i, core.OpChannelsGet, "realm1", "room.2", nil); got.Subscriptions != 0 {
		t.Errorf("got %+v", got)
	}

	if got := ask[core.Disconnected](i, core.OpUserDisconnect, "realm1", "", core.UserParams{User: "ann"}); got.Connections != 2 {
		t.Errorf("got %+v", got)
	}
	for _, raw := range []*Raw{ann, again} {
		if goodbye := Receive[*nexus.Goodbye](raw); goodbye.Reason != "wamp.close.killed" {
			t.Errorf("reason %s", goodbye.Reason)
		}
		raw.Send(&nexus.Goodbye{Reason: nexus.ErrGoodbyeAndOut})
		raw.Ended()
	}
	for ask[core.Channel](i, core.OpChannelsGet, "realm1", "room.1", nil).Subscriptions != 2 {
		time.Sleep(time.Millisecond) // until the router has noticed
	}
	if answer := i.Instance.(core.Answerer).Answer(t.Context(), core.Call{Op: core.OpUserDisconnect, Params: []byte("{")}); answer.Err == nil {
		t.Errorf("broken parameters: %+v", answer)
	}
	if answer := i.Instance.(core.Answerer).Answer(t.Context(), core.Call{Op: "unknown"}); !answer.None {
		t.Errorf("unknown op: %+v", answer)
	}
}
