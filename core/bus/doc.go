// Package bus carries publications from sources to sinks along an immutable
// route table.
//
// The walk of one publication: [Bus.Publish] loads the [Table], gives each event
// its id (ids.go), and offers it to every [Edge] of the source (edge.go), where
// the edge's kinds and [Mapper] decide what becomes of it. The edge's goroutine
// takes what is queued, up to a batch, and hands it to the sinks behind its
// [Target] (target.go). Each [Delivery] is answered once; a publication that
// waits for answers collects them (pending.go).
//
// An edge that retries (retry.go) sorts what leaves its queue by topic (lanes.go):
// the first event of a topic goes to the sink, and the others wait for its answer.
// One that is refused for now is parked with its topic until it is time for the next
// attempt. What waits there counts as queued; only the final answer leaves the edge.
//
// The bus knows events as frames and never decodes a payload. It knows no
// plugin, no file and no process: core/wire and core/route bring those.
package bus
