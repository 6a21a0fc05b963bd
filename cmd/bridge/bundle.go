package main

import (
	"github.com/pushbridge/bridge/adapters/crossbar"
	"github.com/pushbridge/bridge/adapters/pusher/rest"
	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/adapters/webhook"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/registry"
)

// bundled are the plugins that this executable brings with it. plugins/ has a
// main for each, so that they can be built and replaced alone.
func bundled() []registry.Plugin {
	return []registry.Plugin{
		{Name: "crossbar", Adapters: []core.Adapter{crossbar.Adapter{}}},
		{Name: "pusher", Adapters: []core.Adapter{rest.Adapter{}, socket.Adapter{}}},
		{Name: "wamp", Adapters: []core.Adapter{wamp.Adapter{}}},
		{Name: "webhook", Adapters: []core.Adapter{webhook.Adapter{}}},
	}
}
