// Command bridge-plugin-webhook serves the adapter webhook. The bridge starts it.
package main

import (
	"github.com/pushbridge/bridge/adapters/webhook"
	"github.com/pushbridge/bridge/core/wire"
)

func main() { wire.Serve(webhook.Adapter{}) }
