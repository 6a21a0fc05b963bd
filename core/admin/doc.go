// Package admin shows and steers a running bridge: over its control socket, for
// the commands (control.go, client.go), and on its admin address, for health
// checks and metrics (health.go, collector.go). Both show one [Model].
//
// It decides nothing: what a reload or a restart is, is the routes' matter.
//
// The control socket is for the bridge's own user: a socket of mode 0600 in a
// folder of mode 0700, under a name that follows from the folder of routes, so
// that `bridge status` finds it without being told. The admin address is for
// whoever reaches it, changes nothing, and is off unless it is configured.
package admin
