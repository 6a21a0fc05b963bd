package wamp_test

import (
	"context"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/client"
	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestSuite(t *testing.T) {
	coretest.Run(t, coretest.Subject{
		Adapter: wamp.Adapter{},
		Config: func(listen string) string {
			return `{
				"mode": "router", "listen": "` + listen + `",
				"realms": [{"name": "realm1", "roles": [{"name": "anonymous", "permissions": [
					{"uri": "*", "allow": {"publish": true, "subscribe": true}}]}]}],
				"subscribe": [{"topic": "com.example.", "match": "prefix"}]
			}`
		},
		Emit: func(t testing.TB, listen string) {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			c, err := client.ConnectNet(ctx, "ws://"+listen+"/ws", client.Config{Realm: "realm1"})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.Publish("com.example.topic", nexus.Dict{nexus.OptAcknowledge: true}, nexus.List{1}, nil); err != nil {
				t.Fatal(err)
			}
		},
		Event: core.Event{Space: "realm1", Topic: "com.example.news", Type: core.TypeJSON, Data: []byte(`{"a":1}`)},
		Call: func() core.Call {
			call, err := core.NewCall(core.OpPublishAuthorize, "realm1", "com.example.news", core.AuthorizeParams{Role: "anonymous"})
			if err != nil {
				t.Fatal(err)
			}
			return call
		}(),
	})
}
