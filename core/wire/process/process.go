package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	goplugin "github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// Options say which executable to start and what it is given.
type Options struct {
	// Name is the plugin's name, for logs and the runtime folder.
	Name string
	// Path of the executable, and its arguments.
	Path string
	Args []string
	// SHA256 is the checksum, in hex, of the only file that may be executed: it is
	// opened once, and what was summed up is what runs (checked.go). Empty: any
	// file.
	SHA256 string
	// RuntimeDir is where the process's private folder (0700) is made. Sockets
	// in it have paths of at most 107 bytes, so it should be short.
	RuntimeDir string
	// Env is added to the allow-list of the environment, as NAME=value.
	Env []string
	// MTLS encrypts the boundary; it costs CPU and protects little inside a
	// 0700 folder.
	MTLS bool
	// StartTimeout bounds exec to handshake; zero means 10 s.
	StartTimeout time.Duration
	// Bus carries what the instances publish and call.
	Bus *bus.Bus
	// Services are what else they are offered.
	Services services.Services
	// Log is where the plugin's output goes.
	Log *slog.Logger
}

// Process is a running plugin executable. Its methods may be called from any
// goroutine. [Process.Kill] must be called once it is not needed any more, also
// when it has died.
type Process struct {
	options Options
	dir     string
	client  *plugin.Client
	runner  *runner
	output  *output
	host    *hostServer
	adapter bridgev1.AdapterClient
	conn    grpc.ClientConnInterface

	takesListeners atomic.Bool // known once it was described
}

// TakesListeners reports whether the plugin takes over sockets that the bridge
// has opened. It is known once [Process.Describe] has answered; a plugin that does
// not binds its addresses itself.
func (p *Process) TakesListeners() bool { return p.takesListeners.Load() }

const defaultStartTimeout = 10 * time.Second

// maxDirPath leaves room for what go-plugin adds (/plugin-dirNNNNNNNNNN/
// pluginNNNNNNNNNN) within the 107 bytes of a socket's path.
const maxDirPath = 107 - 38

// Start starts the executable and returns once it has answered the handshake.
// The error names the file and shows what the plugin printed.
func Start(ctx context.Context, options Options) (*Process, error) {
	if options.StartTimeout <= 0 {
		options.StartTimeout = defaultStartTimeout
	}
	dir, err := os.MkdirTemp(options.RuntimeDir, shortName(options.Name)+"-")
	if err != nil {
		return nil, fmt.Errorf("runtime folder of plugin %s: %w", options.Name, err)
	}
	if len(dir) > maxDirPath {
		os.Remove(dir)
		return nil, fmt.Errorf("runtime folder of plugin %s: %s has %d bytes, and a socket in it would have too long a path; set runtime_dir to a folder of at most %d bytes",
			options.Name, dir, len(dir), maxDirPath-len(dir)+len(options.RuntimeDir))
	}
	p := &Process{options: options, dir: dir, output: newOutput(options.Log)}
	p.host, err = newHostServer(dir, options.Bus, options.Services, options.Log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("plugin %s: %w", options.Name, err), os.RemoveAll(dir))
	}
	env := append(allowedEnvironment(), stream.EnvHostSocket+"="+p.host.path)
	p.runner = newRunner(options.Path, options.Args, append(env, options.Env...), p.output)
	p.runner.sha256 = options.SHA256
	if err := p.connect(ctx); err != nil {
		p.Kill()
		return nil, p.explain(err)
	}
	return p, nil
}

// shortName keeps socket paths short.
func shortName(name string) string {
	if len(name) > 16 {
		name = name[:16]
	}
	return strings.Map(func(r rune) rune {
		if r == os.PathSeparator {
			return '_'
		}
		return r
	}, name)
}

// connect runs go-plugin's start; it cannot be interrupted, so ctx kills the
// process instead.
func (p *Process) connect(ctx context.Context) error {
	p.client = plugin.NewClient(p.clientConfig())
	type result struct {
		adapter any
		err     error
	}
	done := make(chan result, 1) // one result, whoever waits
	go func() {
		protocol, err := p.client.Client()
		if err != nil {
			done <- result{err: err}
			return
		}
		adapter, err := protocol.Dispense(stream.PluginName)
		done <- result{adapter, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return r.err
		}
		dispensed := r.adapter.(dispensed)
		p.adapter, p.conn = dispensed.adapter, dispensed.conn
		return nil
	case <-ctx.Done():
		_ = p.runner.Kill(context.Background())
		<-done
		return fmt.Errorf("start was given up: %w", ctx.Err())
	}
}

func (p *Process) clientConfig() *plugin.ClientConfig {
	return &plugin.ClientConfig{
		HandshakeConfig:  stream.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{stream.ProtocolVersion: {stream.PluginName: clientPlugin{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		SkipHostEnv:      true,
		AutoMTLS:         p.options.MTLS,
		StartTimeout:     p.options.StartTimeout,
		GRPCDialOptions:  stream.ClientOptions(),
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: p.dir},
		SyncStdout:       p.output,
		SyncStderr:       p.output,
		Logger:           hclog.NewNullLogger(),
		RunnerFunc: func(_ hclog.Logger, spec *exec.Cmd, _ string) (goplugin.Runner, error) {
			p.runner.command.Env = append(p.runner.command.Env, spec.Env...)
			return p.runner, nil
		},
	}
}

// allowedEnvironment is what a plugin inherits: never secrets, which come in its
// configuration.
func allowedEnvironment() []string {
	var env []string
	for _, name := range []string{
		"PATH", "HOME", "TZ", "LANG", "LC_ALL", "TMPDIR",
		"SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG", "GOTRACEBACK", "GOCOVERDIR", "GORACE",
	} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// explain says which file failed, why, and what it printed.
func (p *Process) explain(err error) error {
	message := err.Error()
	switch {
	case strings.Contains(message, "incompatible API version"):
		message = p.versionMismatch(message)
	case strings.Contains(message, "timeout while waiting for plugin"):
		message = fmt.Sprintf("no handshake within %s", p.options.StartTimeout)
	case strings.Contains(message, "Unrecognized remote plugin message"),
		strings.Contains(message, "plugin exited before we could connect"):
		message = "it ended without a handshake" + p.exitText()
	}
	text := fmt.Sprintf("plugin %s (%s): %s", p.options.Name, p.options.Path, message)
	if lines := p.output.lastLines(); len(lines) > 0 {
		text += "\nit printed:\n\t" + strings.Join(lines, "\n\t")
	}
	return &StartError{Path: p.options.Path, text: text, err: err}
}

// StartError says why an executable did not become a plugin.
type StartError struct {
	Path string
	text string
	err  error
}

// Error names the file, the reason, and what the plugin printed.
func (e *StartError) Error() string { return e.text }

// Unwrap returns the cause.
func (e *StartError) Unwrap() error { return e.err }

// versionMismatch says which of the two sides is the older.
func (p *Process) versionMismatch(message string) string {
	var theirs int
	_, after, _ := strings.Cut(message, "Plugin version: ")
	number, _, _ := strings.Cut(after, ",")
	theirs, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil {
		return message
	}
	upgrade := "upgrade bridge"
	if theirs < stream.ProtocolVersion {
		upgrade = "upgrade the plugin"
	}
	return fmt.Sprintf("it speaks plugin protocol %d, this bridge speaks %d: %s", theirs, stream.ProtocolVersion, upgrade)
}

func (p *Process) exitText() string {
	if !p.runner.hasEnded() || p.runner.exit == nil {
		return ""
	}
	return " (" + p.runner.exit.Error() + ")"
}

// Pid is the process id.
func (p *Process) Pid() int { return p.runner.processID() }

// Done is closed when the process has ended, however it ended.
func (p *Process) Done() <-chan struct{} { return p.runner.ended }

// Err says how the process ended, with what it printed last. It is valid once
// Done is closed.
func (p *Process) Err() error {
	text := fmt.Sprintf("plugin %s (pid %d) ended", p.options.Name, p.Pid())
	if p.runner.exit != nil {
		text += ": " + p.runner.exit.Error()
	}
	if lines := p.output.lastLines(); len(lines) > 0 {
		text += "\nit printed:\n\t" + strings.Join(lines, "\n\t")
	}
	return errors.New(text)
}

// killGrace is how long a process that has no instances left may take to leave
// by itself.
const killGrace = 2 * time.Second

// Kill ends the process if it still runs, politely first, and removes everything
// of it: the process group, connections, sockets, the runtime folder. Instances
// in it find their streams broken. It is safe to call more than once.
func (p *Process) Kill() {
	if p.client != nil {
		left := make(chan struct{})
		go func() {
			defer close(left)
			p.client.Kill() // asks, without a deadline of its own
		}()
		select {
		case <-left:
		case <-time.After(killGrace):
			_ = p.runner.Kill(context.Background())
			<-left
		}
	}
	_ = p.runner.Kill(context.Background())
	if p.Pid() > 0 {
		<-p.runner.ended
	}
	p.host.close()
	_ = os.RemoveAll(p.dir)
}

// Describe asks the executable which adapters it serves.
func (p *Process) Describe(ctx context.Context) ([]core.Info, error) {
	reply, err := p.adapter.Describe(ctx, &bridgev1.DescribeRequest{})
	if err != nil {
		return nil, p.wrap("describe", err)
	}
	p.takesListeners.Store(reply.GetTakesListeners())
	infos := make([]core.Info, 0, len(reply.GetAdapters()))
	for _, info := range reply.GetAdapters() {
		infos = append(infos, stream.InfoFromProto(info))
	}
	return infos, nil
}

// Validate asks the executable to check a configuration of one adapter.
func (p *Process) Validate(ctx context.Context, adapter string, config []byte) (core.Validation, error) {
	reply, err := p.adapter.Validate(ctx, &bridgev1.ValidateRequest{Adapter: adapter, Config: config})
	if err != nil {
		return core.Validation{}, p.wrap("validate", err)
	}
	return stream.ValidationFromProto(reply), nil
}

func (p *Process) wrap(what string, err error) error {
	if errors.Is(err, io.EOF) || status.Code(err) == codes.Unavailable {
		p.awaitEnd() // the connection goes before the process is reaped
	}
	if p.runner.hasEnded() {
		return fmt.Errorf("%s: %w", what, p.Err())
	}
	return fmt.Errorf("plugin %s: %s: %w", p.options.Name, what, stream.FromStatus(err))
}

// awaitEnd waits a moment for the process to end.
func (p *Process) awaitEnd() {
	moment := time.NewTimer(endGrace)
	defer moment.Stop()
	select {
	case <-p.runner.ended:
	case <-moment.C:
	}
}

// endGrace is how long a process whose connection broke may take to be gone.
const endGrace = 500 * time.Millisecond

// clientPlugin is go-plugin's way to a connection.
type clientPlugin struct{ plugin.NetRPCUnsupportedPlugin }

type dispensed struct {
	adapter bridgev1.AdapterClient
	conn    grpc.ClientConnInterface
}

// GRPCClient implements plugin.GRPCPlugin.
func (clientPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return dispensed{bridgev1.NewAdapterClient(conn), conn}, nil
}

// GRPCServer implements plugin.GRPCPlugin; this side serves nothing there.
func (clientPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }
