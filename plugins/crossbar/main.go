// Command bridge-plugin-crossbar serves the adapter crossbar-pusher. The bridge
// starts it.
package main

import (
	"github.com/pushbridge/bridge/adapters/crossbar"
	"github.com/pushbridge/bridge/core/wire"
)

func main() { wire.Serve(crossbar.Adapter{}) }
