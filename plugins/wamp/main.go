// Command bridge-plugin-wamp serves the adapter wamp. The bridge starts it.
package main

import (
	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/core/wire"
)

func main() { wire.Serve(wamp.Adapter{}) }
