package coretest

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/inprocess"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/sockets"
	"github.com/pushbridge/bridge/core/state"
	"github.com/pushbridge/bridge/core/wire"
	"github.com/pushbridge/bridge/core/wire/process"
)

// envServe makes the test binary serve its adapters instead of testing.
const envServe = "BRIDGE_CORETEST_SERVE"

// Main runs the tests, or, in the child process that [Run] starts, serves the
// adapters.
func Main(m *testing.M, adapters ...core.Adapter) {
	if os.Getenv(envServe) != "" {
		wire.Serve(adapters...)
		return
	}
	os.Exit(m.Run())
}

// instanceName is the name of the suite's instance.
const instanceName = "suite.instance"

// instance is what process.Instance and inprocess.Instance have in common.
type instance interface {
	bus.Sink
	Start(context.Context) error
	Check(context.Context) error
	Stop(context.Context) error
}

// place is an opened instance on a bus of its own.
type place struct {
	bus       *bus.Bus
	instance  instance
	edge      *bus.Edge
	inProcess bool
	closers   []func()
}

// opener opens an instance of the adapter somewhere.
type opener func(t testing.TB, adapter core.Adapter, config string) *place

func openInProcess(t testing.TB, adapter core.Adapter, config string) *place {
	t.Helper()
	p := &place{bus: bus.New(), inProcess: true}
	opened, err := inprocess.NewProcess(p.bus, offered(), Logger(t)).Open(testContext(t), adapter, instanceName, json.RawMessage(config))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	p.put(opened, opened.Info())
	return p
}

func openInChild(t testing.TB, adapter core.Adapter, config string) *place {
	t.Helper()
	p := &place{bus: bus.New()}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "coretest") // t.TempDir's names are too long for sockets
	if err != nil {
		t.Fatal(err)
	}
	child, err := process.Start(testContext(t), process.Options{
		Name: adapter.Describe().Name, Path: self, RuntimeDir: dir,
		Env: []string{envServe + "=1"}, Bus: p.bus, Services: offered(), Log: Logger(t),
	})
	if err != nil {
		os.RemoveAll(dir)
		t.Fatalf("start the child: %v", err)
	}
	p.closers = append(p.closers, func() { os.RemoveAll(dir) }, child.Kill)
	opened, err := child.Open(testContext(t), adapter.Describe(), instanceName, []byte(config))
	if err != nil {
		p.close()
		t.Fatalf("open: %v", err)
	}
	p.put(opened, opened.Info())
	return p
}

// offered are the services of a place. Sockets are opened when they are asked for
// and belong to the instance alone.
func offered() services.Services {
	return services.Services{
		Socket: func(ctx context.Context, _, address string) (int, error) {
			socket, err := sockets.New().Open(ctx, address)
			if err != nil {
				return -1, err
			}
			defer socket.Release()
			return socket.Descriptor()
		},
		Peers: peers.NewRegistry(),
		State: state.New(),
	}
}

// put makes the instance the target of an edge.
func (p *place) put(i instance, info core.Info) {
	p.instance = i
	if info.Sink {
		p.bus.Target(instanceName).Run(info, i)
		p.edge = bus.NewEdge(p.bus.Target(instanceName), bus.EdgeOptions{
			Kinds: []core.Kind{core.KindMessage, core.KindClient, core.KindHappening},
		})
		p.bus.SetTable(bus.NewTable([]bus.Route{{Name: "suite", Sources: []string{publisherName}, Edges: []*bus.Edge{p.edge}}}))
	}
}

// publisherName is the source of what the suite publishes to a sink.
const publisherName = "suite.publisher"

func (p *place) close() {
	if p.edge != nil {
		p.bus.Target(instanceName).Refuse(core.Refuse(core.CodeNotRunning, "the test is over"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		p.edge.Close(ctx)
	}
	for i := len(p.closers) - 1; i >= 0; i-- {
		p.closers[i]()
	}
}

// capture leads what the instance emits to a channel. Every event is answered
// with refusal.
func (p *place) capture(t testing.TB, refusal *core.Refusal) <-chan core.Event {
	sink := &captureSink{events: make(chan core.Event, 1024), refusal: refusal} // more than a test emits
	target := p.bus.Target("suite.capture")
	target.Run(core.Info{Sink: true}, sink)
	edge := bus.NewEdge(target, bus.EdgeOptions{Kinds: []core.Kind{core.KindMessage, core.KindClient, core.KindHappening}})
	t.Cleanup(func() { edge.Close(context.Background()) })
	routes := []bus.Route{{Name: "capture", Sources: []string{instanceName}, Edges: []*bus.Edge{edge}}}
	if p.edge != nil {
		routes = append(routes, bus.Route{Name: "suite", Sources: []string{publisherName}, Edges: []*bus.Edge{p.edge}})
	}
	p.bus.SetTable(bus.NewTable(routes))
	return sink.events
}

// captureSink is a sink of the test itself.
type captureSink struct {
	events  chan core.Event
	refusal *core.Refusal
}

func (s *captureSink) Deliver(_ context.Context, batch []bus.Delivery) error {
	for _, d := range batch {
		s.events <- d.Frame.Decode().Clone()
		d.Answer(core.Receipt{Receivers: core.ReceiversUnknown, Err: s.refusal})
	}
	return nil
}

func (s *captureSink) Answer(context.Context, core.Call) core.Answer { return core.Answer{None: true} }

// results takes the results of publications.
type results chan bus.Result

// PublicationsDone implements bus.Replier.
func (r results) PublicationsDone(_ uint64, _ int, result bus.Result) { r <- result }

// publish delivers one event and returns the sink's receipt.
func (p *place) publish(ctx context.Context, event core.Event) (*core.Receipt, error) {
	f, err := frame.Encode(&event)
	if err != nil {
		return nil, err
	}
	done := make(results, 1)
	p.bus.Publisher(publisherName).Publish([]bus.Publication{{Frames: []frame.Frame{f}, Ack: core.AckAll}}, time.Now(), 1, done)
	select {
	case result := <-done:
		var receipt *core.Receipt
		if len(result.Receipts) == 1 {
			receipt = &result.Receipts[0]
		}
		if result.Err != nil {
			return receipt, result.Err
		}
		return receipt, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// flood publishes n events and returns where their results come.
func (p *place) flood(event core.Event, n int) results {
	done := make(results, n)
	for range n {
		f, err := frame.Encode(&event)
		if err != nil {
			done <- bus.Result{Err: core.AsRefusal(err)}
			continue
		}
		p.bus.Publisher(publisherName).Publish([]bus.Publication{{Frames: []frame.Frame{f}, Ack: core.AckAll}}, time.Now(), 1, done)
	}
	return done
}
