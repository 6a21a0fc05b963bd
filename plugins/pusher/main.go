// Command bridge-plugin-pusher serves the adapters of the Pusher Channels
// protocol. The bridge starts it.
package main

import (
	"github.com/pushbridge/bridge/adapters/pusher/rest"
	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core/wire"
)

func main() { wire.Serve(rest.Adapter{}, socket.Adapter{}) }
