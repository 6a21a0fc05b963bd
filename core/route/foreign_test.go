package route

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// foreign is a plugin as one in another language may be: it binds its address by
// itself, and knows the calls only that it cannot do without. It serves one
// instance, which answers with its process and value.
type foreign struct {
	plugin.NetRPCUnsupportedPlugin
	bridgev1.UnimplementedAdapterServer
	config   probeConfig
	listener net.Listener
	server   *http.Server
}

func serveForeign() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  stream.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{stream.ProtocolVersion: {stream.PluginName: &foreign{}}},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, stream.ServerOptions()...)...)
		},
	})
}

// GRPCServer implements plugin.GRPCPlugin.
func (f *foreign) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	bridgev1.RegisterAdapterServer(s, f)
	return nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (f *foreign) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.New("a plugin has no client")
}

func (f *foreign) Describe(context.Context, *bridgev1.DescribeRequest) (*bridgev1.DescribeReply, error) {
	info := core.Info{Name: "foreign", Version: "1", Source: true, Config: settings.Schema[probeConfig]()}
	return &bridgev1.DescribeReply{Adapters: []*bridgev1.Info{stream.InfoToProto(info)}}, nil
}

func (f *foreign) Validate(_ context.Context, r *bridgev1.ValidateRequest) (*bridgev1.ValidateReply, error) {
	return stream.ValidationToProto(probe{}.Validate(r.GetConfig())), nil
}

func (f *foreign) Open(_ context.Context, r *bridgev1.OpenRequest) (*bridgev1.OpenReply, error) {
	var err error
	if f.config, err = settings.Decode[probeConfig](r.GetConfig()); err != nil {
		return nil, err
	}
	f.listener, err = net.Listen("tcp", f.config.Listen)
	return &bridgev1.OpenReply{}, err
}

func (f *foreign) Start(context.Context, *bridgev1.InstanceRequest) (*bridgev1.StartReply, error) {
	if err := f.config.trouble("start"); err != nil {
		return nil, err
	}
	f.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, os.Getpid(), f.config.Value)
	})}
	go f.server.Serve(f.listener)
	return &bridgev1.StartReply{}, nil
}

func (f *foreign) Check(context.Context, *bridgev1.InstanceRequest) (*bridgev1.CheckReply, error) {
	return &bridgev1.CheckReply{}, nil
}

func (f *foreign) Stop(context.Context, *bridgev1.InstanceRequest) (*bridgev1.StopReply, error) {
	if f.server == nil {
		return &bridgev1.StopReply{}, f.listener.Close()
	}
	return &bridgev1.StopReply{}, f.server.Close()
}

// TestBindsItself has a plugin go before its successor comes, and come back if
// that fails.
func TestBindsItself(t *testing.T) {
	t.Parallel()
	plugins := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	install(t, self, plugins, "foreign")
	address := freeAddress(t)
	route := func(keys string) string {
		return fmt.Sprintf("inbound: { adapter: foreign, name: in, config: { listen: %q, %s } }", address, keys)
	}
	f := serve(t, func(env *Environment) { env.Registry = registry.New([]string{plugins}, self, nil) }, "a.yaml", route("value: one"))
	want := func(value string) {
		t.Helper()
		if answer := f.mustPost(address, "x"); !strings.HasSuffix(answer, " "+value) {
			t.Errorf("answer %q, want %s", answer, value)
		}
	}
	first := f.ready("a")
	want("one")

	f.write("a.yaml", route("value: two"))
	second := f.reload("a")
	if !second.Reload.OK || pids(second)["in"] == pids(first)["in"] {
		t.Errorf("%+v %+v", second, second.Reload)
	}
	want("two")

	f.write("a.yaml", route("value: three, fail: start"))
	if s := f.reload("a"); s.Reload.OK || s.Generation != 2 || !strings.Contains(s.Reload.Error, "the probe fails in start") {
		t.Errorf("%+v %+v", s, s.Reload)
	}
	back := f.ready("a")
	want("two")

	kill(t, pids(back)["in"])
	f.becomes("a", "restarted", func(s Status) bool { return s.State == StateReady && s.Instances[0].Restarts == 1 })
	want("two")

	if _, err := f.routes.Restart(t.Context(), "foreign"); err != nil {
		t.Error(err)
	}
	if s := f.ready("a"); s.Instances[0].Restarts != 0 {
		t.Errorf("%+v", s)
	}
	want("two")
}
