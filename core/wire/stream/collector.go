package stream

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// What both sides of the boundary use in place of the runtime's 100 while less than
// smallHeap bytes are alive: beyond that the room would cost more memory than the
// collections cost time.
const (
	relaxedPercent = 400
	smallHeap      = 16 << 20
)

// RelaxCollector lets the heap of a process grow before it is collected, as long as
// it is small: with the runtime's default a flood of events through a heap of a few
// megabytes means hundreds of collections a second. Whoever sets GOGC has decided
// already. A process calls it once, at its start.
func RelaxCollector() {
	if os.Getenv("GOGC") == "" {
		adjustCollector(struct{}{})
	}
}

// adjustCollector sets the percentage that suits the heap now, and again after the
// next collection, which finds the token that it leaves behind.
func adjustCollector(struct{}) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	percent := relaxedPercent
	if live[0].Value.Uint64() > smallHeap {
		percent = 100
	}
	debug.SetGCPercent(percent)
	token := new([16]byte) // anything smaller shares a block with others and lives as long as they
	runtime.AddCleanup(token, adjustCollector, struct{}{})
}
