// Package integration runs the real program, as built by `make build`, with real
// processes, sockets and files, and the protocols' own clients. The JavaScript
// clients are small programs in node/ that speak JSON lines with the tests: see
// harness_test.go.
//
// The tests need the build tag integration, bin/bridge, and the packages of
// node/package.json; `make integration` sees to it.
package integration
