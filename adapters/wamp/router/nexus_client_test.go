package router_test

import (
	"context"
	"testing"

	"github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"

	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
)

// TestNexusClient uses the router with the library's own client, as its users
// would.
func TestNexusClient(t *testing.T) {
	r := start(t, nil)
	for name, serialization := range map[string]serialize.Serialization{
		"json": serialize.JSON, "msgpack": serialize.MSGPACK, "cbor": serialize.CBOR,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), Patience)
			defer cancel()
			connect := func() *client.Client {
				c, err := client.ConnectNet(ctx, r.url, client.Config{Realm: "realm1", Serialization: serialization})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			one, two := connect(), connect()
			events := make(chan *wamp.Event, 10)
			for topic, match := range map[string]string{"a.b": "exact", "a.": "prefix", ".b": "wildcard"} {
				if err := one.Subscribe(topic, func(e *wamp.Event) { events <- e }, wamp.Dict{"match": match}); err != nil {
					t.Fatal(err)
				}
			}
			err := two.Publish("a.b", wamp.Dict{"acknowledge": true}, wamp.List{"x", 5}, wamp.Dict{"k": true})
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				event := <-events
				n, _ := wamp.AsInt64(event.Arguments[1])
				if event.Arguments[0] != "x" || n != 5 || event.ArgumentsKw["k"] != true {
					t.Errorf("event %+v", event)
				}
			}
			if err := two.Publish("wamp.x", wamp.Dict{"acknowledge": true}, nil, nil); err == nil {
				t.Error("published at a reserved topic")
			}
			add := func(_ context.Context, i *wamp.Invocation) client.InvokeResult {
				x, _ := wamp.AsInt64(i.Arguments[0])
				y, _ := wamp.AsInt64(i.Arguments[1])
				return client.InvokeResult{Args: wamp.List{x + y}}
			}
			if err := one.Register("add", add, nil); err != nil {
				t.Fatal(err)
			}
			result, err := two.Call(ctx, "add", nil, wamp.List{2, 3}, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if sum, _ := wamp.AsInt64(result.Arguments[0]); sum != 5 {
				t.Errorf("2 + 3 = %v", result.Arguments[0])
			}
			if err := one.Unregister("add"); err != nil {
				t.Error(err)
			}
			if err := one.Unsubscribe("a.b"); err != nil {
				t.Error(err)
			}
		})
	}
}
