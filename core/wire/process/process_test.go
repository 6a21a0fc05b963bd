package process_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/wire/process"
)

// logs is a log that tests can wait on.
type logs struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{}
}

func newLogs() *logs { return &logs{wrote: make(chan struct{}, 1)} }

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.wrote <- struct{}{}:
	default:
	}
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// wait waits until the log has all the texts.
func (l *logs) wait(t *testing.T, texts ...string) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		missing := ""
		for _, text := range texts {
			if !strings.Contains(l.String(), text) {
				missing = text
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-l.wrote:
		case <-deadline:
			t.Fatalf("the log has no %q:\n%s", missing, l)
		}
	}
}

// runtimeDir is short enough for sockets, unlike t.TempDir.
func runtimeDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "proc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func options(t testing.TB, b *bus.Bus, log *logs, role string) process.Options {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return process.Options{
		Name: "test", Path: self, RuntimeDir: runtimeDir(t), Env: []string{envRole + "=" + role},
		Bus: b, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		StartTimeout: 5 * time.Second,
	}
}

func start(t testing.TB, b *bus.Bus, log *logs, role string) *process.Process {
	t.Helper()
	p, err := process.Start(context.Background(), options(t, b, log, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	return p
}

var (
	sourceInfo = core.Info{Name: "source", Source: true}
	sinkInfo   = core.Info{Name: "sink", Sink: true, IssuesIDs: true, Calls: []string{"echo"}}
)

func open(t testing.TB, p *process.Process, info core.Info, name, config string) *process.Instance {
	t.Helper()
	i, err := p.Open(context.Background(), info, name, []byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// route leads the source "in" to the sink.
func route(t testing.TB, b *bus.Bus, i *process.Instance, o bus.EdgeOptions) *bus.Edge {
	b.Target(i.Name()).Run(i.Info(), i)
	e := bus.NewEdge(b.Target(i.Name()), o)
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // what a stuck sink holds is given up
		e.Close(ctx)
	})
	b.SetTable(bus.NewTable([]bus.Route{{Name: "r", Sources: []string{"in"}, Edges: []*bus.Edge{e}}}))
	return e
}

type results chan bus.Result

func (r results) PublicationsDone(_ uint64, _ int, result bus.Result) { r <- result }

func publish(t testing.TB, b *bus.Bus, ack core.Ack, events ...core.Event) results {
	t.Helper()
	frames := make([]frame.Frame, len(events))
	for i := range events {
		var err error
		if frames[i], err = frame.Encode(&events[i]); err != nil {
			t.Fatal(err)
		}
	}
	done := make(results, 1)
	b.Publisher("in").Publish([]bus.Publication{{Frames: frames, Ack: ack}}, time.Now(), 1, done)
	return done
}

func (r results) wait(t testing.TB) bus.Result {
	t.Helper()
	select {
	case result := <-r:
		return result
	case <-time.After(20 * time.Second):
		t.Fatal("no result")
		return bus.Result{}
	}
}

func TestDescribeAndValidate(t *testing.T) {
	p := start(t, bus.New(), newLogs(), "serve")
	infos, err := p.Describe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := []core.Info{sourceAdapter{}.Describe(), sinkAdapter{}.Describe()}
	if diff := cmp.Diff(want, infos); diff != "" {
		t.Error(diff)
	}
	v, err := p.Validate(context.Background(), "source", []byte(`{}`))
	if err != nil || cmp.Diff(sourceAdapter{}.Validate(nil), v) != "" {
		t.Errorf("%v, %+v", err, v)
	}
	if _, err := p.Validate(context.Background(), "nobody", nil); err == nil {
		t.Error("an unknown adapter validates")
	}
}

func TestOpenErrorIsTheAdapters(t *testing.T) {
	p := start(t, bus.New(), newLogs(), "serve")
	_, err := p.Open(context.Background(), sourceInfo, "in", []byte(`{`))
	var refusal *core.Refusal
	if !errors.As(err, &refusal) || refusal.Code != "bad_config" {
		t.Errorf("error %v", err)
	}
	open(t, p, sourceInfo, "in", `{}`)
	if _, err := p.Open(context.Background(), sourceInfo, "in", []byte(`{}`)); err == nil {
		t.Error("an instance can be opened twice")
	}
}

func TestReceiptsTravelBack(t *testing.T) {
	for _, test := range []struct {
		mode string
		want []core.Receipt
	}{
		{"accept", []core.Receipt{{Sink: "out", ID: "id-0", Detail: []byte(`{"n":0}`)}, {Sink: "out", Event: 1, ID: "id-1", Receivers: 1, Detail: []byte(`{"n":1}`)}}},
		{"silent", []core.Receipt{{Sink: "out", Receivers: -1}, {Sink: "out", Event: 1, Receivers: -1}}},
		{"reverse", []core.Receipt{{Sink: "out", Receivers: -1}, {Sink: "out", Event: 1, Receivers: -1}}},
		{"refuse", []core.Receipt{
			{Sink: "out", Err: core.RefuseRetry("busy", 1500, "later")}, {Sink: "out", Event: 1, Err: core.RefuseRetry("busy", 1500, "later")}}},
		{"fail", []core.Receipt{
			{Sink: "out", Receivers: -1}, {Sink: "out", Event: 1, Err: core.Refuse("broken", "the sink is broken")}}},
	} {
		t.Run(test.mode, func(t *testing.T) {
			b := bus.New()
			i := open(t, start(t, b, newLogs(), "serve"), sinkInfo, "out", `{"Mode":"`+test.mode+`"}`)
			route(t, b, i, bus.EdgeOptions{})
			r := publish(t, b, core.AckAll, core.Event{Topic: "t", Name: "0"}, core.Event{Topic: "t", Name: "1"}).wait(t)
			byEvent := func(receipts []core.Receipt) map[int]core.Receipt {
				m := make(map[int]core.Receipt)
				for _, receipt := range receipts {
					receipt.EventID = "" // made up by the bus
					m[receipt.Event] = receipt
				}
				return m
			}
			if diff := cmp.Diff(byEvent(test.want), byEvent(r.Receipts)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEventsTravelWhole(t *testing.T) {
	b := bus.New()
	log := newLogs()
	i := open(t, start(t, b, log, "serve"), sinkInfo, "out", `{"Mode":"accept"}`)
	route(t, b, i, bus.EdgeOptions{})
	large := core.Event{Topic: "t", Name: "1", Data: bytes.Repeat([]byte("x"), core.MaxEventBytes-1000)}
	for range 3 {
		if r := publish(t, b, core.AckAll, large).wait(t); r.Err != nil || r.Receipts[0].ID != "id-1" {
			t.Errorf("result %+v", r)
		}
	}
}

func TestCallsAndChecks(t *testing.T) {
	b := bus.New()
	p := start(t, b, newLogs(), "serve")
	i := open(t, p, sinkInfo, "out", `{"Mode":"silent"}`)
	route(t, b, i, bus.EdgeOptions{})
	answers, err := b.Call(context.Background(), "in", core.Call{Op: "echo", Space: "s", Topic: "t", Params: []byte(`"p"`)})
	if want := []core.Answer{{Sink: "out", Data: []byte(`"st\"p\""`)}}; err != nil || cmp.Diff(want, answers) != "" {
		t.Errorf("%v, %+v", err, answers)
	}
	if err := i.Check(context.Background()); err == nil || !strings.Contains(err.Error(), "mode silent") {
		t.Errorf("check: %v", err)
	}
	if err := i.Reconfigure(context.Background(), nil); !errors.Is(err, core.ErrRestart) {
		t.Errorf("reconfigure: %v", err)
	}
	if err := i.Drain(context.Background()); err != nil {
		t.Errorf("drain: %v", err)
	}
}

func TestSourceThroughTwoProcesses(t *testing.T) {
	for _, ack := range []core.Ack{core.AckSent, core.AckQueued, core.AckAll} {
		t.Run(ack.String(), func(t *testing.T) {
			b, log := bus.New(), newLogs()
			sinks, sources := start(t, b, log, "serve"), start(t, b, log, "serve")
			out := open(t, sinks, sinkInfo, "out", `{"Mode":"silent"}`)
			edge := route(t, b, out, bus.EdgeOptions{Overflow: bus.OverflowBlock})
			const n = 3000
			in := open(t, sources, sourceInfo, "in", fmt.Sprintf(`{"Events":%d,"Ack":%d}`, n, ack))
			if err := in.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			log.wait(t, "msg=published")
			if err := in.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			edge.Close(context.Background())
			if err := out.Stop(context.Background()); err != nil {
				t.Fatal(err)
			}
			if delivered := edge.Counts().Delivered.Load(); delivered != n {
				t.Errorf("%d events were delivered, want %d", delivered, n)
			}
			if strings.Contains(log.String(), "level=ERROR") {
				t.Error(log)
			}
		})
	}
}

func TestLogLinesCarryTheirInstance(t *testing.T) {
	b, log := bus.New(), newLogs()
	in := open(t, start(t, b, log, "serve"), sourceInfo, "in", `{"Print":"printed by an adapter"}`)
	if err := in.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "level=INFO msg=published instance=in", `level=WARN msg="printed by an adapter"`)
}

func TestEnvironmentIsAllowedByName(t *testing.T) {
	t.Setenv("BRIDGE_TEST_SECRET", "do not tell")
	b, log := bus.New(), newLogs()
	in := open(t, start(t, b, log, "serve"), sourceInfo, "in", `{"Env":["PATH","BRIDGE_TEST_SECRET"]}`)
	if err := in.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "name=PATH value="+os.Getenv("PATH"), `name=BRIDGE_TEST_SECRET value=""`)
}

func TestStartErrors(t *testing.T) {
	for _, test := range []struct {
		role string
		says []string
	}{
		{"exit", []string{"ended without a handshake", "exit status 7", "no licence found"}},
		{"hang", []string{"no handshake within"}},
		{"older", []string{"speaks plugin protocol 0, this bridge speaks 1", "upgrade the plugin"}},
		{"newer", []string{"speaks plugin protocol 9, this bridge speaks 1", "upgrade bridge"}},
		{"grandchild", []string{"ended without a handshake", "exit status 8"}},
	} {
		t.Run(test.role, func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			o := options(t, bus.New(), newLogs(), test.role)
			o.StartTimeout = 2 * time.Second
			_, err := process.Start(context.Background(), o)
			if err == nil {
				t.Fatal("it started")
			}
			for _, text := range append(test.says, o.Path) {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("the error does not say %q: %v", text, err)
				}
			}
			nothingLeft(t, o.RuntimeDir)
		})
	}
	t.Run("no such file", func(t *testing.T) {
		o := options(t, bus.New(), newLogs(), "serve")
		o.Path = "/no/such/plugin"
		if _, err := process.Start(context.Background(), o); err == nil || !strings.Contains(err.Error(), o.Path) {
			t.Errorf("error %v", err)
		}
		nothingLeft(t, o.RuntimeDir)
	})
	t.Run("given up", func(t *testing.T) {
		defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		o := options(t, bus.New(), newLogs(), "hang")
		if _, err := process.Start(ctx, o); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		nothingLeft(t, o.RuntimeDir)
	})
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestRubbishOnStdoutAndStderrIsHarmless(t *testing.T) {
	b, log := bus.New(), newLogs()
	p := start(t, b, log, "rubbish")
	if _, err := p.Describe(context.Background()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "hello from a plugin", "@message")
	for line := range strings.Lines(log.String()) {
		if len(line) > 70<<10 {
			t.Errorf("a log line of %d bytes", len(line))
		}
	}
}

func TestKilledPluginAnswersWhatIsInFlight(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	b, log := bus.New(), newLogs()
	o := options(t, b, log, "serve")
	p, err := process.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	i := open(t, p, sinkInfo, "out", `{"Mode":"never"}`)
	b.Target("out").Run(i.Info(), i)
	edge := bus.NewEdge(b.Target("out"), bus.EdgeOptions{})
	b.SetTable(bus.NewTable([]bus.Route{{Sources: []string{"in"}, Edges: []*bus.Edge{edge}}}))
	done := publish(t, b, core.AckAll, core.Event{Topic: "t"})
	// The event is in flight once the plugin has answered a later question on the
	// same connection.
	if err := i.Check(context.Background()); err == nil {
		t.Fatal("the sink's check must fail in this mode")
	}
	if err := syscall.Kill(p.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	r := done.wait(t)
	if r.Err == nil || r.Err.Code != core.CodeGone || r.Err.Outcome != core.OutcomeUnknown {
		// The edge may still have held the event when the plugin died.
		b.Target("out").Refuse(core.Refuse("over", "the test is over"))
		t.Errorf("result %+v", r)
	}
	if !strings.Contains(p.Err().Error(), "killed") {
		t.Errorf("error %v", p.Err())
	}
	b.Target("out").Refuse(core.Refuse("over", "the test is over"))
	edge.Close(context.Background())
	if err := i.Stop(context.Background()); err == nil {
		t.Error("stopping an instance of a dead process must say so")
	}
	p.Kill()
	nothingLeft(t, o.RuntimeDir)
}

func TestPanicIsShown(t *testing.T) {
	b, log := bus.New(), newLogs()
	p := start(t, b, log, "serve")
	in := open(t, p, sourceInfo, "in", `{"Panic":true}`)
	_ = in.Start(context.Background()) // it may die before it answers
	<-p.Done()
	if !strings.Contains(p.Err().Error(), "the adapter has a defect") {
		t.Errorf("error %v", p.Err())
	}
}

func TestHugeMessageEndsItsStreamOnly(t *testing.T) {
	b, log := bus.New(), newLogs()
	p := start(t, b, log, "serve")
	in := open(t, p, sourceInfo, "huge", `{"Raw":"huge"}`)
	if err := in.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "ResourceExhausted")
	if _, err := p.Describe(context.Background()); err != nil {
		t.Errorf("the process cannot be talked to any more: %v", err)
	}
}

func TestMalformedEventIsRefusedAlone(t *testing.T) {
	b, log := bus.New(), newLogs()
	p := start(t, b, log, "serve")
	out := open(t, p, sinkInfo, "out", `{"Mode":"silent"}`)
	edge := route(t, b, out, bus.EdgeOptions{})
	in := open(t, p, sourceInfo, "in", `{"Raw":"malformed"}`)
	if err := in.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	log.wait(t, "msg=result code=invalid_event instance=in number=2", "through 3")
	if n := edge.Counts().Queued.Load(); n != 2 {
		t.Errorf("%d events were queued, want the 2 good ones", n)
	}
}

func TestPluginThatIgnoresItsWindow(t *testing.T) {
	for raw, says := range map[string]string{"window": "without a result", "numbers": "where 1 was due"} {
		b, log := bus.New(), newLogs()
		p := start(t, b, log, "serve")
		out := open(t, p, sinkInfo, "out", `{"Mode":"never"}`)
		route(t, b, out, bus.EdgeOptions{QueueEvents: 100_000})
		in := open(t, p, sourceInfo, "in", `{"Raw":"`+raw+`"}`)
		if err := in.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		log.wait(t, says)
	}
}

func TestStoppedProcessIsKilled(t *testing.T) {
	p := start(t, bus.New(), newLogs(), "serve")
	if err := syscall.Kill(p.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	select {
	case <-p.Done():
	default:
		t.Error("Kill returned and the process is there")
	}
}

func TestStopWithAStuckSink(t *testing.T) {
	b := bus.New()
	p := start(t, b, newLogs(), "serve")
	i := open(t, p, sinkInfo, "out", `{"Mode":"stuck"}`)
	route(t, b, i, bus.EdgeOptions{})
	done := publish(t, b, core.AckAll, core.Event{Topic: "t"})
	if err := i.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
	if r := done.wait(t); r.Err == nil {
		t.Error("the event was accepted")
	}
}

func TestFoldersAndSocketsArePrivateAndGo(t *testing.T) {
	o := options(t, bus.New(), newLogs(), "serve")
	p, err := process.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.Walk(o.RuntimeDir, func(path string, info os.FileInfo, err error) error {
		if err == nil && path != o.RuntimeDir && info.IsDir() && info.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	p.Kill()
	nothingLeft(t, o.RuntimeDir)
}

// A plugin ends with its bridge even if that is killed. The plugin holds a lock
// that the test then waits for.
func TestPluginEndsWithKilledBridge(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(t.TempDir(), "lock")
	bridge := exec.Command(self)
	bridge.Env = append(os.Environ(), envRole+"=host", envLock+"="+lock, "TMPDIR="+runtimeDir(t))
	out, err := bridge.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bridge.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "started <nil>\n" {
		t.Fatalf("%q, %v", line, err)
	}
	f, err := os.OpenFile(lock, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
		t.Fatal("the plugin does not hold its lock")
	}
	if err := bridge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = bridge.Wait()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { // blocks until the plugin has ended
		t.Fatal(err)
	}
}

func TestMTLS(t *testing.T) {
	b := bus.New()
	o := options(t, b, newLogs(), "serve")
	o.MTLS = true
	p, err := process.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	i := open(t, p, sinkInfo, "out", `{"Mode":"silent"}`)
	route(t, b, i, bus.EdgeOptions{})
	if r := publish(t, b, core.AckAll, core.Event{Topic: "t"}).wait(t); r.Err != nil {
		t.Errorf("result %+v", r)
	}
}

// A plugin whose file has the sum that is demanded serves; one whose file was
// exchanged does not start, and says what to do.
func TestChecksumIsDemanded(t *testing.T) {
	o := options(t, bus.New(), newLogs(), "serve")
	program, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	o.Path = filepath.Join(t.TempDir(), "plugin")
	if err := os.WriteFile(o.Path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	o.SHA256 = hex.EncodeToString(sum[:])
	p, err := process.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if infos, err := p.Describe(context.Background()); err != nil || len(infos) != 2 {
		t.Errorf("%v, %v", infos, err)
	}
	p.Kill()

	other := filepath.Join(filepath.Dir(o.Path), "other")
	ran := filepath.Join(filepath.Dir(o.Path), "ran")
	if err := os.WriteFile(other, []byte("#!/bin/sh\n: >"+ran+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, o.Path); err != nil {
		t.Fatal(err)
	}
	_, err = process.Start(context.Background(), o)
	var exchanged *process.ChecksumError
	if !errors.As(err, &exchanged) || exchanged.Want != o.SHA256 || !strings.Contains(err.Error(), "bridge plugins lock") {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the exchanged file was executed")
	}
	nothingLeft(t, o.RuntimeDir)
}
