package stream

import (
	"os"
	"runtime/debug"
)

// collectorPercent is what both sides of the boundary use in place of the
// runtime's 100.
const collectorPercent = 400

// RelaxCollector lets the heap of a small process grow before it is collected:
// with the runtime's default a flood of events through a heap of a few megabytes
// means hundreds of collections a second. Whoever sets GOGC has decided already.
// A process calls it once, at its start.
func RelaxCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectorPercent)
	}
}
