package process_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/wire"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/process"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// The test binary is also every kind of plugin, good and bad, and a host to be
// killed: this variable says which.
const envRole = "BRIDGE_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "":
		os.Exit(m.Run())
	case "serve":
		wire.Serve(sourceAdapter{}, sinkAdapter{})
	case "rubbish":
		fmt.Println("hello from a plugin that prints before it serves")
		fmt.Println(strings.Repeat("x", 200<<10))
		fmt.Fprintln(os.Stderr, `{"@message": 5}`)
		fmt.Fprintln(os.Stderr, strings.Repeat("y", 200<<10))
		wire.Serve(sourceAdapter{}, sinkAdapter{})
	case "exit":
		fmt.Fprintln(os.Stderr, "no licence found")
		os.Exit(7)
	case "hang":
		select {}
	case "older":
		fmt.Println("1|0|unix|/nowhere|grpc|")
		select {}
	case "newer":
		fmt.Println("1|9|unix|/nowhere|grpc|")
		select {}
	case "grandchild":
		// Something that outlives the plugin and keeps its output open.
		sleeper := exec.Command("sleep", "1000")
		sleeper.Stdout, sleeper.Stderr = os.Stdout, os.Stderr
		if err := sleeper.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(8)
	case "locked":
		holdLock(os.Getenv(envLock))
		wire.Serve(sourceAdapter{}, sinkAdapter{})
	case "host":
		hostUntilKilled()
	}
}

// envLock names a file that a role locks while it lives.
const envLock = "BRIDGE_TEST_LOCK"

func holdLock(path string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
}

// hostUntilKilled starts a plugin that holds a lock, says so, and waits.
func hostUntilKilled() {
	self, _ := os.Executable()
	_, err := process.Start(context.Background(), process.Options{
		Name: "test", Path: self, RuntimeDir: os.Getenv("TMPDIR"),
		Env: []string{envRole + "=locked", envLock + "=" + os.Getenv(envLock)},
		Bus: bus.New(), Log: slog.New(slog.DiscardHandler),
	})
	fmt.Println("started", err)
	select {}
}

// sourceAdapter publishes what its configuration says when it starts.
type sourceAdapter struct{}

type sourceConfig struct {
	Events int      // published one by one
	Ack    core.Ack // for each of them
	Raw    string   // instead: "huge", "malformed", "window"
	Env    []string // logged, name by name
	Print  string   // printed to standard output
	Panic  bool
}

func (sourceAdapter) Describe() core.Info { return core.Info{Name: "source", Source: true} }

func (sourceAdapter) Validate(json.RawMessage) core.Validation {
	return core.Validation{
		Findings:  []core.Finding{{Path: "/a", Severity: core.SeverityWarning, Message: "careful"}},
		Addresses: []core.Address{{Listen: "127.0.0.1:1", Paths: []string{"/x"}, TLS: true}},
	}
}

func (sourceAdapter) Open(_ context.Context, name string, config json.RawMessage, host core.Host) (core.Instance, error) {
	s := &source{name: name, host: host}
	if err := json.Unmarshal(config, &s.config); err != nil {
		return nil, core.Refuse("bad_config", "%v", err)
	}
	return s, nil
}

type source struct {
	name   string
	host   core.Host
	config sourceConfig
	work   sync.WaitGroup
}

func (s *source) Start(context.Context) error {
	for _, name := range s.config.Env {
		s.host.Log().Info("environment", "name", name, "value", os.Getenv(name))
	}
	if s.config.Print != "" {
		fmt.Println(s.config.Print)
	}
	s.work.Go(s.publish)
	return nil
}

func (s *source) Stop(context.Context) error { s.work.Wait(); return nil }

func (s *source) publish() {
	if s.config.Panic {
		panic("the adapter has a defect")
	}
	if s.config.Raw != "" {
		s.raw()
		return
	}
	for n := range s.config.Events {
		receipts, err := s.host.Publish(context.Background(), core.Publication{
			Ack:    s.config.Ack,
			Events: []core.Event{{Topic: "t", Name: fmt.Sprint(n), Data: []byte("data")}},
		})
		if err != nil {
			s.host.Log().Error("publish failed", "error", err)
			return
		}
		if s.config.Ack == core.AckAll && len(receipts) != 1 {
			s.host.Log().Error("receipts missing", "receipts", len(receipts))
		}
	}
	s.host.Log().Info("published")
}

// raw speaks to the bridge without the SDK.
func (s *source) raw() {
	conn, err := grpc.NewClient("unix:"+os.Getenv(stream.EnvHostSocket), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.host.Log().Error("dial", "error", err)
		return
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(context.Background(), stream.InstanceKey, s.name)
	rpc, err := bridgev1.NewHostClient(conn).Publish(ctx)
	if err != nil {
		s.host.Log().Error("publish", "error", err)
		return
	}
	for _, batch := range rawBatches(s.config.Raw) {
		if err := rpc.Send(batch); err != nil {
			break
		}
	}
	for {
		results, err := rpc.Recv()
		if err != nil {
			s.host.Log().Info("stream ended", "error", err.Error())
			return
		}
		for _, r := range results.GetResults() {
			s.host.Log().Info("result", "number", r.GetNumber(), "code", r.GetError().GetCode())
		}
		if results.GetThrough() == 3 {
			s.host.Log().Info("through 3")
		}
	}
}

func rawBatches(kind string) []*bridgev1.PublicationBatch {
	publication := func(number uint64, events ...*bridgev1.Event) *bridgev1.Publication {
		return &bridgev1.Publication{Number: number, Events: events}
	}
	switch kind {
	case "huge":
		return []*bridgev1.PublicationBatch{{Publications: []*bridgev1.Publication{
			publication(1, &bridgev1.Event{Topic: "t", Data: make([]byte, 100<<20)}),
		}}}
	case "malformed":
		return []*bridgev1.PublicationBatch{{Publications: []*bridgev1.Publication{
			publication(1, &bridgev1.Event{Topic: "good 1"}),
			publication(2, &bridgev1.Event{Topic: strings.Repeat("long", 10_000)}),
			publication(3, &bridgev1.Event{Topic: "good 2"}),
		}}}
	case "window":
		batch := &bridgev1.PublicationBatch{}
		for n := range uint64(stream.PublishItems + 2) {
			p := publication(n+1, &bridgev1.Event{Topic: "t"})
			p.Ack = bridgev1.Ack_ACK_ALL
			batch.Publications = append(batch.Publications, p)
		}
		return []*bridgev1.PublicationBatch{batch}
	case "numbers":
		return []*bridgev1.PublicationBatch{{Publications: []*bridgev1.Publication{publication(7)}}}
	}
	return nil
}

// sinkAdapter answers as its configuration says.
type sinkAdapter struct{}

func (sinkAdapter) Describe() core.Info {
	return core.Info{
		Name: "sink", Version: "1", Summary: "s", Sink: true, Config: []byte(`{"type":"object"}`),
		Calls: []string{"echo"}, IssuesIDs: true, Scope: core.ScopeOnce, Kinds: []core.Kind{core.KindHappening},
	}
}

func (sinkAdapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }

func (sinkAdapter) Open(_ context.Context, _ string, config json.RawMessage, host core.Host) (core.Instance, error) {
	s := &sink{host: host}
	return s, json.Unmarshal(config, &s.config)
}

type sink struct {
	host   core.Host
	config struct {
		Mode string // accept, silent, reverse, refuse, stuck, fail
	}
}

func (s *sink) Start(context.Context) error                        { return nil }
func (s *sink) Stop(context.Context) error                         { return nil }
func (s *sink) Drain(context.Context) error                        { return nil }
func (s *sink) Check(context.Context) error                        { return fmt.Errorf("mode %s", s.config.Mode) }
func (s *sink) Reconfigure(context.Context, json.RawMessage) error { return core.ErrRestart }

func (s *sink) Answer(_ context.Context, call core.Call) core.Answer {
	if call.Op != "echo" {
		return core.Answer{Err: core.Refuse("no_such_op", "%s", call.Op)}
	}
	return core.NewAnswer(call.Space + call.Topic + string(call.Params))
}

func (s *sink) Deliver(ctx context.Context, batch core.Batch) error {
	switch s.config.Mode {
	case "accept":
		for i, e := range batch.Events {
			batch.Answer(i, core.Receipt{ID: "id-" + e.Name, Receivers: i, Detail: json.RawMessage(`{"n":` + e.Name + `}`)})
		}
	case "silent":
		batch.AnswerAll(core.Accepted())
	case "reverse":
		for i := len(batch.Events) - 1; i >= 0; i-- {
			batch.Answer(i, core.Accepted())
			batch.Answer(i, core.Receipt{Err: core.Refuse("twice", "a second answer must be ignored")})
		}
	case "refuse":
		for i := range batch.Events {
			batch.Answer(i, core.Receipt{Err: core.RefuseRetry("busy", 1500, "later")})
		}
	case "stuck":
		<-ctx.Done()
		return ctx.Err()
	case "fail":
		if len(batch.Events) > 1 {
			batch.Answer(0, core.Accepted())
		}
		return core.Refuse("broken", "the sink is broken")
	}
	return nil
}
