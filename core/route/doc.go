// Package route runs the files of conf.d: it starts the processes that a file
// needs, opens and starts its instances, leads its edges to them, and takes it
// all down again.
//
// A file becomes a [generation]: planned (plan.go: which instances share a
// process, what each adapter says of its configuration, who listens where),
// opened and started sinks first (generation.go). [Routes] holds the generations
// of all files and makes the bus's table of them (routes.go). [Lint] is the first
// half of the same way, without opening anything.
//
// A file is the unit of isolation: what goes wrong with one is its own status and
// no other file's.
package route
