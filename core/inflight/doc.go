// Package inflight is the bookkeeping of numbered items that have been handed
// over and not answered yet: [Window] on the side that asks, [Ledger] on the
// side that answers. The plugin boundary uses both; so does whoever hands events
// to an instance in this process.
package inflight
