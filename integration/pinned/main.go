// Command bridge-plugin-crossbar, as the tests build it, serves crossbar-pusher
// with a clock that stands still: test vectors have their own time.
package main

import (
	"os"
	"time"

	"github.com/pushbridge/bridge/adapters/crossbar"
	"github.com/pushbridge/bridge/core/wire"
)

func main() {
	wire.Serve(crossbar.Adapter{Now: func() time.Time {
		now, err := time.Parse(time.RFC3339Nano, os.Getenv("BRIDGE_TEST_NOW"))
		if err != nil {
			return time.Time{}
		}
		return now
	}})
}
