// Command pinned is the plugin crossbar or pusher, as the tests build it, with a
// clock that shows what stands in a file: test vectors have their own time.
package main

import (
	"os"
	"time"

	"github.com/pushbridge/bridge/adapters/crossbar"
	"github.com/pushbridge/bridge/adapters/pusher/rest"
	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core/wire"
)

func main() {
	wire.Serve(crossbar.Adapter{Now: now}, rest.Adapter{Now: now}, socket.Adapter{})
}

// now is the time in the file that BRIDGE_TEST_CLOCK names.
func now() time.Time {
	text, err := os.ReadFile(os.Getenv("BRIDGE_TEST_CLOCK"))
	if err != nil {
		return time.Time{}
	}
	now, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}
	}
	return now
}
