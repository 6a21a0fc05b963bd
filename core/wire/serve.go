package wire

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// Serve serves the adapters to the bridge that started this process, and returns
// when the bridge says that it is done. Started by hand, the process explains
// itself and exits with status 1. When the bridge dies, however it dies, the
// process exits.
//
// Log lines go through the Host's logger; what is printed to standard output or
// standard error reaches the bridge's log as well, as warnings.
func Serve(adapters ...core.Adapter) {
	exitWithBridge()
	stream.RelaxCollector()
	log := newLogger(os.Stderr) // before go-plugin puts pipes of its own in its place
	server, err := newServer(adapters, os.Getenv(stream.EnvHostSocket), log)
	if err != nil {
		log.Error("this plugin cannot serve", "error", err)
		os.Exit(1)
	}
	defer server.close()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: stream.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{
			stream.ProtocolVersion: {stream.PluginName: serverPlugin{server: server}},
		},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, stream.ServerOptions()...)...)
		},
		// What goes wrong before the handshake can be said on standard error alone.
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, DisableTime: true}),
	})
}

// exitWithBridge ends the process when the bridge is gone. The kernel's
// parent-death signal would not do: it fires when the thread ends that started
// the process, which in Go can be any time.
func exitWithBridge() {
	number, err := strconv.Atoi(os.Getenv(stream.EnvWatchFD))
	if err != nil {
		return
	}
	watch := os.NewFile(uintptr(number), "bridge")
	if watch == nil {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, watch)
		os.Exit(exitBridgeGone)
	}()
}

// exitBridgeGone is the exit status of a plugin whose bridge died.
const exitBridgeGone = 3

// newLogger writes records as JSON lines, which the bridge takes apart again.
// The bridge filters by level; here everything from debug up may pass if it asks
// for it.
func newLogger(to io.Writer) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(os.Getenv(stream.EnvLogLevel)))
	return slog.New(slog.NewJSONHandler(to, &slog.HandlerOptions{Level: level}))
}

// serverPlugin is go-plugin's way to register the service.
type serverPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server *server
}

// GRPCServer implements plugin.GRPCPlugin.
func (p serverPlugin) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	bridgev1.RegisterAdapterServer(s, p.server)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin; this side calls nothing there.
func (serverPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("wire: the plugin's side has no client")
}
