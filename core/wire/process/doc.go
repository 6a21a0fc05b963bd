// Package process is the bridge's side of the plugin boundary: it starts a
// plugin executable with a runner of its own ([Start]), talks to the adapters in
// it ([Process]), and is the bus.Sink of each opened instance ([Instance]).
//
// It supervises nothing: who starts a process watches [Process.Done] and decides
// what happens next. Routes, files and back-off are in core/route.
//
// The boundary is github.com/hashicorp/go-plugin with gRPC. Its known pitfalls
// are met here: runner.go (a plugin's output can neither crash nor stall the
// bridge, its process group dies with it, its sockets are removed), checked.go
// (what runs is the file whose checksum was taken), logs.go (its log lines), hostserver.go (no broker: the bridge serves each process on a
// socket of its own).
package process
