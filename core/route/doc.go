// Package route runs the files of conf.d: it starts the processes that a file
// needs, opens and starts its instances, leads its edges to them, keeps all of it
// at work, and changes it when the file changes.
//
// A file is the unit of isolation: what goes wrong with one is its own status and
// no other file's. A route's parts, from the outside in:
//
//	Routes      all files, the bus's table, the addresses taken (routes.go)
//	route       one file: what runs of it (route.go), and the next change, one at a time (wish.go)
//	plan        what a file needs: instances, who shares a process, edges (plan.go)
//	change      the way from what runs to a plan, or back (change.go, step.go, edges.go)
//	host        a process that is to run, with its sockets; it is supervised (host.go, supervise.go)
//	run         one start of that process, with its open instances (run.go)
//	generations the instances of one name that events go to now (generations.go)
//
// A change goes: [Routes.Reload] reads the folder and gives each route whose file
// is another its new file; the route plans it, asks the adapters about it, claims
// its addresses; hosts that are as before stay, others reconfigure in place, or
// get a successor that is opened and started beside them; the table is set; the
// old are drained and stopped (retire.go). What fails on the way leaves
// everything as it was. [Routes.Watch] (watch.go) reloads by itself.
//
// [Lint] is the first half of the same way, without opening anything.
package route
