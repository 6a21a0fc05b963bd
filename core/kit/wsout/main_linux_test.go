package wsout

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/integration/bench/swarm"
)

func TestMain(m *testing.M) {
	if os.Getenv(swarm.Env) != "" { // this process is the clients of a benchmark
		if err := swarm.Play(); err != nil {
			fmt.Fprintln(os.Stderr, "swarm:", err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
