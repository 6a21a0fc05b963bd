package bus_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sink is a bus.Sink whose test decides when and how deliveries are answered.
type sink struct {
	arrived chan bus.Delivery
	reply   *core.Receipt // nil: the test answers
	answer  core.Answer
	failed  bool          // Deliver takes nothing
	gate    chan struct{} // Deliver takes one token per batch, if it is set
	entered chan struct{} // told when Deliver waits at the gate
}

func newSink() *sink {
	return &sink{arrived: make(chan bus.Delivery, 100_000), entered: make(chan struct{}, 100_000)}
}

func (s *sink) Deliver(ctx context.Context, batch []bus.Delivery) error {
	if s.failed {
		return errors.New("the sink is gone")
	}
	if s.gate != nil {
		s.entered <- struct{}{}
		select {
		case <-s.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, d := range batch {
		s.arrived <- d
		if s.reply != nil {
			d.Answer(*s.reply)
		}
	}
	return nil
}

func (s *sink) Answer(context.Context, core.Call) core.Answer { return s.answer }

// next returns the next delivery.
func (s *sink) next(t *testing.T) bus.Delivery {
	t.Helper()
	select {
	case d := <-s.arrived:
		return d
	case <-time.After(10 * time.Second):
		t.Fatal("nothing was delivered")
		return bus.Delivery{}
	}
}

// world is a bus with edges from the source "in".
type world struct {
	*bus.Bus
	source  *bus.Publisher
	t       *testing.T
	edges   []*bus.Edge
	results chan bus.Result
}

func newWorld(t *testing.T) *world {
	b := bus.New()
	w := &world{Bus: b, source: b.Publisher("in"), t: t, results: make(chan bus.Result, 100_000)}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, e := range w.edges {
			e.Close(ctx)
		}
	})
	return w
}

func (w *world) PublicationsDone(_ uint64, count int, result bus.Result) {
	for range count {
		w.results <- result
	}
}

func (w *world) edge(name string, s bus.Sink, info core.Info, options bus.EdgeOptions) *bus.Edge {
	target := w.Target(name)
	if s != nil {
		target.Run(info, s)
	}
	e := bus.NewEdge(target, options)
	w.edges = append(w.edges, e)
	return e
}

func (w *world) table(ack core.Ack) {
	w.SetTable(bus.NewTable([]bus.Route{{Name: "r", Sources: []string{"in"}, Ack: ack, Edges: w.edges}}))
}

func (w *world) publish(ack core.Ack, needID bool, events ...core.Event) {
	w.t.Helper()
	frames := make([]frame.Frame, len(events))
	for i := range events {
		f, err := frame.Encode(&events[i])
		if err != nil {
			w.t.Fatal(err)
		}
		frames[i] = f
	}
	w.source.Publish([]bus.Publication{{Frames: frames, Ack: ack, NeedID: needID}}, time.Now(), 1, w)
}

func (w *world) result() bus.Result {
	w.t.Helper()
	select {
	case r := <-w.results:
		return r
	case <-time.After(10 * time.Second):
		w.t.Fatal("no result")
		return bus.Result{}
	}
}

func (w *world) noResult() {
	w.t.Helper()
	select {
	case r := <-w.results:
		w.t.Fatalf("result %+v came too early", r)
	default:
	}
}

var accepted = core.Accepted()

func TestQueuedReturnsOnceEdgesHaveIt(t *testing.T) {
	w := newWorld(t)
	a, b := newSink(), newSink()
	w.edge("a", a, core.Info{}, bus.EdgeOptions{})
	w.edge("b", b, core.Info{}, bus.EdgeOptions{})
	w.table(core.AckRoute)
	w.publish(core.AckRoute, false, core.Event{Topic: "t"})
	if r := w.result(); r.Err != nil || r.Receipts != nil {
		t.Errorf("result %+v", r)
	}
	for _, s := range []*sink{a, b} {
		e := s.next(t).Frame.Decode()
		if e.Topic != "t" || e.Source != "in" || e.Hops != 1 || e.ID == "" || e.Time.IsZero() {
			t.Errorf("event %+v", e)
		}
	}
}

func TestSourceWithoutRoute(t *testing.T) {
	w := newWorld(t)
	w.publish(core.AckAll, true, core.Event{Topic: "t"})
	if r := w.result(); r.Err != nil || r.Receipts != nil {
		t.Errorf("result %+v", r)
	}
}

func TestOrderAndIncreasingIDs(t *testing.T) {
	w := newWorld(t)
	s := newSink()
	s.reply = &accepted
	w.edge("a", s, core.Info{}, bus.EdgeOptions{Overflow: bus.OverflowBlock, QueueEvents: 64})
	w.table(core.AckRoute)
	const n = 20_000
	for i := range n {
		w.publish(core.AckRoute, false, core.Event{Topic: "t", Name: fmt.Sprint(i)})
	}
	last := ""
	for i := range n {
		e := s.next(t).Frame.Decode()
		if e.Name != fmt.Sprint(i) {
			t.Fatalf("event %s came where %d was due", e.Name, i)
		}
		if e.ID <= last {
			t.Fatalf("id %s follows %s", e.ID, last)
		}
		last = e.ID
	}
}

func TestAcks(t *testing.T) {
	refusal := core.Refuse("no", "the test refuses")
	ok := func(id string) core.Receipt { return core.Receipt{ID: id, Receivers: 1} }
	no := core.Receipt{Err: refusal}
	type step struct {
		sink    string
		receipt core.Receipt
		done    bool // the result comes with this answer
	}
	for _, test := range []struct {
		name     string
		ack      core.Ack
		needID   bool
		steps    []step
		fails    bool
		receipts int
	}{
		{"first: one is enough", core.AckFirst, false, []step{{"b", ok("1"), true}}, false, 1},
		{"first: a refusal is not", core.AckFirst, false, []step{{"a", no, false}, {"b", ok("1"), true}}, false, 2},
		{"first: nobody", core.AckFirst, false, []step{{"a", no, false}, {"b", no, false}, {"c", no, true}}, true, 3},
		{"all", core.AckAll, false, []step{{"a", ok("1"), false}, {"c", ok("3"), false}, {"b", ok("2"), true}}, false, 3},
		{"all: one refuses", core.AckAll, false, []step{{"a", ok("1"), false}, {"c", no, false}, {"b", ok("2"), true}}, true, 3},
		{"id: the first that issues them, in file order", core.AckQueued, true, []step{{"c", ok("3"), false}, {"b", ok("2"), true}}, false, 2},
		{"id: its refusal is the publication's", core.AckQueued, true, []step{{"b", no, true}}, true, 1},
		{"id and all", core.AckAll, true, []step{{"b", ok("2"), false}, {"a", ok("1"), false}, {"c", ok("3"), true}}, false, 3},
		{"id and first", core.AckFirst, true, []step{{"a", ok("1"), false}, {"b", ok("2"), true}}, false, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			sinks := map[string]*sink{"a": newSink(), "b": newSink(), "c": newSink()}
			for _, name := range []string{"a", "b", "c"} {
				w.edge(name, sinks[name], core.Info{IssuesIDs: name != "a"}, bus.EdgeOptions{})
			}
			w.table(core.AckRoute)
			w.publish(test.ack, test.needID, core.Event{Topic: "t"})
			deliveries := make(map[string]bus.Delivery)
			for name, s := range sinks {
				deliveries[name] = s.next(t)
			}
			for _, step := range test.steps {
				w.noResult()
				deliveries[step.sink].Answer(step.receipt)
				if !step.done {
					continue
				}
				r := w.result()
				if (r.Err != nil) != test.fails || len(r.Receipts) != test.receipts {
					t.Errorf("result %+v", r)
				}
				for _, receipt := range r.Receipts {
					if receipt.Sink == "" {
						t.Errorf("receipt without sink: %+v", receipt)
					}
				}
			}
		})
	}
}

func TestRouteAckCountsIfStricter(t *testing.T) {
	w := newWorld(t)
	s := newSink()
	w.edge("a", s, core.Info{}, bus.EdgeOptions{})
	w.table(core.AckAll)
	if ack := w.Ack("in"); ack != core.AckAll {
		t.Errorf("ack %v", ack)
	}
	w.publish(core.AckQueued, false, core.Event{Topic: "t"})
	d := s.next(t)
	w.noResult()
	d.Answer(accepted)
	if r := w.result(); r.Err != nil || len(r.Receipts) != 1 {
		t.Errorf("result %+v", r)
	}
}

func TestOverflow(t *testing.T) {
	event := core.Event{Topic: "t"}
	blocked := func(t *testing.T, o bus.Overflow) (*world, *sink) {
		w := newWorld(t)
		s := newSink()
		s.gate = make(chan struct{})
		w.edge("a", s, core.Info{}, bus.EdgeOptions{QueueEvents: 2, Overflow: o})
		w.table(core.AckRoute)
		w.publish(core.AckAll, false, event) // taken by the edge's goroutine, held at the gate
		<-s.entered
		return w, s
	}
	t.Run("reject", func(t *testing.T) {
		w, _ := blocked(t, bus.OverflowReject)
		w.publish(core.AckRoute, false, event, event)
		if r := w.result(); r.Err != nil {
			t.Errorf("result %+v", r)
		}
		w.publish(core.AckRoute, false, event)
		r := w.result()
		if r.Err == nil || r.Err.Code != core.CodeQueueFull || !r.Err.Retryable || r.Err.After <= 0 {
			t.Errorf("result %+v", r)
		}
	})
	t.Run("reject is all or nothing", func(t *testing.T) {
		w, s := blocked(t, bus.OverflowReject)
		w.publish(core.AckRoute, false, event)
		w.result()
		w.publish(core.AckRoute, false, event, event)
		if r := w.result(); r.Err == nil || len(r.Receipts) != 2 {
			t.Errorf("result %+v", r)
		}
		close(s.gate)
		s.next(t)
		s.next(t)
		if n := w.edges[0].Counts().Queued.Load(); n != 2 {
			t.Errorf("%d events were queued, want 2", n)
		}
	})
	t.Run("larger than the queue", func(t *testing.T) {
		w := newWorld(t)
		s := newSink()
		w.edge("a", s, core.Info{}, bus.EdgeOptions{QueueEvents: 2})
		w.table(core.AckRoute)
		w.publish(core.AckRoute, false, event, event, event, event)
		if r := w.result(); r.Err != nil {
			t.Errorf("an empty queue must take any publication: %+v", r)
		}
	})
	t.Run("drop oldest", func(t *testing.T) {
		w, s := blocked(t, bus.OverflowDropOldest)
		for _, name := range []string{"1", "2", "3", "4"} {
			w.publish(core.AckAll, false, core.Event{Topic: "t", Name: name})
		}
		for range 2 {
			if r := w.result(); r.Err == nil || r.Err.Code != core.CodeDropped {
				t.Errorf("result %+v", r)
			}
		}
		close(s.gate)
		s.next(t)
		for _, want := range []string{"3", "4"} {
			if got := s.next(t).Frame.Decode().Name; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
	t.Run("block", func(t *testing.T) {
		w, s := blocked(t, bus.OverflowBlock)
		for range 2 {
			w.publish(core.AckRoute, false, event)
			w.result()
		}
		w.publish(core.AckRoute, false, core.Event{Topic: "t", Name: "waits"})
		w.publish(core.AckSent, false, core.Event{Topic: "t", Name: "waits too"})
		w.noResult()
		close(s.gate)
		for range 2 {
			if r := w.result(); r.Err != nil {
				t.Errorf("result %+v", r)
			}
		}
		for range 3 {
			s.next(t)
		}
		for _, want := range []string{"waits", "waits too"} {
			if got := s.next(t).Frame.Decode().Name; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		}
	})
}

func TestOneFullEdgeHoldsUpNoOther(t *testing.T) {
	w := newWorld(t)
	stuck, fast := newSink(), newSink()
	stuck.gate = make(chan struct{})
	fast.reply = &accepted
	w.edge("stuck", stuck, core.Info{}, bus.EdgeOptions{QueueEvents: 8})
	w.edge("fast", fast, core.Info{}, bus.EdgeOptions{})
	w.table(core.AckRoute)
	const n = 1000
	refused := 0
	for range n {
		w.publish(core.AckRoute, false, core.Event{Topic: "t"})
		r := w.result()
		if r.Err != nil {
			t.Fatalf("the publication was refused although one edge took it: %+v", r)
		}
		refused += len(r.Receipts)
	}
	for range n {
		fast.next(t)
	}
	if refused == 0 {
		t.Error("the full edge's refusals are not told")
	}
	close(stuck.gate)
}

func TestKindsAndMapper(t *testing.T) {
	w := newWorld(t)
	all, usual, mapped := newSink(), newSink(), newSink()
	w.edge("all", all, core.Info{}, bus.EdgeOptions{Kinds: []core.Kind{core.KindMessage, core.KindClient, core.KindHappening}})
	w.edge("usual", usual, core.Info{}, bus.EdgeOptions{})
	w.edge("mapped", mapped, core.Info{}, bus.EdgeOptions{Mapper: mapper{}})
	w.table(core.AckRoute)
	w.publish(core.AckRoute, false, core.Event{Topic: "h", Kind: core.KindHappening}, core.Event{Topic: "drop"}, core.Event{Topic: "keep"})
	w.result()
	for _, want := range []string{"h", "drop", "keep"} {
		if got := all.next(t).Frame.Decode().Topic; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, want := range []string{"drop", "keep"} {
		if got := usual.next(t).Frame.Decode().Topic; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := mapped.next(t).Frame.Decode().Topic; got != "mapped" {
		t.Errorf("got %s", got)
	}
	w.publish(core.AckRoute, false, core.Event{Topic: "fail"})
	r := w.result()
	if len(r.Receipts) != 1 || r.Receipts[0].EventID == "" {
		t.Fatalf("result %+v", r)
	}
	r.Receipts[0].EventID = ""
	if want := []core.Receipt{{Sink: "mapped", Err: errMapper}}; r.Err != nil || cmp.Diff(want, r.Receipts) != "" {
		t.Errorf("result %+v", r)
	}
}

var errMapper = core.Refuse(core.CodeMapping, "the test's mapper fails")

type mapper struct{}

func (mapper) Map(f frame.Frame) (frame.Frame, bool, error) {
	event := f.Decode()
	switch event.Topic {
	case "keep":
		event.Topic = "mapped"
		f, err := frame.Encode(&event)
		return f, true, err
	case "fail":
		return f, false, errMapper
	}
	return f, false, nil
}

func TestTargets(t *testing.T) {
	event := core.Event{Topic: "t"}
	t.Run("never run", func(t *testing.T) {
		w := newWorld(t)
		w.edge("a", nil, core.Info{}, bus.EdgeOptions{})
		w.table(core.AckRoute)
		w.publish(core.AckRoute, false, event)
		if r := w.result(); r.Err == nil || r.Err.Code != core.CodeNotRunning {
			t.Errorf("result %+v", r)
		}
	})
	t.Run("held and run again", func(t *testing.T) {
		w := newWorld(t)
		before, after := newSink(), newSink()
		w.edge("a", before, core.Info{}, bus.EdgeOptions{})
		w.table(core.AckRoute)
		w.Target("a").Hold()
		w.publish(core.AckAll, false, event)
		w.noResult()
		w.Target("a").Run(core.Info{}, after)
		after.next(t).Answer(accepted)
		if r := w.result(); r.Err != nil {
			t.Errorf("result %+v", r)
		}
	})
	t.Run("refuses what waits", func(t *testing.T) {
		w := newWorld(t)
		w.edge("a", newSink(), core.Info{}, bus.EdgeOptions{})
		w.table(core.AckRoute)
		w.Target("a").Hold()
		w.publish(core.AckAll, false, event)
		w.publish(core.AckAll, false, event)
		w.Target("a").Refuse(core.Refuse("over", "the test is over"))
		for range 2 {
			if r := w.result(); r.Err == nil || r.Err.Code != "over" {
				t.Errorf("result %+v", r)
			}
		}
	})
}

func TestNoEventReturnsToItsEmitter(t *testing.T) {
	w := newWorld(t)
	hub, other := newSink(), newSink()
	w.edge("in", hub, core.Info{}, bus.EdgeOptions{})
	w.edge("other", other, core.Info{}, bus.EdgeOptions{})
	w.table(core.AckRoute)
	w.publish(core.AckRoute, false, core.Event{Topic: "t"})
	other.next(t)
	if n := w.edges[0].Counts().Queued.Load(); n != 0 {
		t.Errorf("%d events went back to their emitter", n)
	}
}

func TestTooManyHops(t *testing.T) {
	w := newWorld(t)
	w.edge("a", newSink(), core.Info{}, bus.EdgeOptions{})
	w.table(core.AckRoute)
	w.publish(core.AckRoute, false, core.Event{Topic: "t", Hops: core.MaxHops})
	if r := w.result(); r.Err == nil || r.Err.Code != core.CodeTooManyHops {
		t.Errorf("result %+v", r)
	}
}

func TestCall(t *testing.T) {
	w := newWorld(t)
	const op = "some.op"
	knows := core.Info{Calls: []string{op}}
	for name, answer := range map[string]core.Answer{
		"a": core.NewAnswer("A"), "none": {None: true}, "b": core.NewAnswer("B"),
	} {
		s := newSink()
		s.answer = answer
		w.Target(name).Run(knows, s)
	}
	w.Target("deaf").Run(core.Info{}, newSink())
	for _, name := range []string{"a", "none", "deaf", "b", "a"} {
		w.edge(name, nil, core.Info{}, bus.EdgeOptions{})
	}
	w.table(core.AckRoute)
	answers, err := w.Call(context.Background(), "in", core.Call{Op: op})
	want := []core.Answer{{Sink: "a", Data: []byte(`"A"`)}, {Sink: "b", Data: []byte(`"B"`)}}
	if err != nil || cmp.Diff(want, answers) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(want, answers))
	}
	if answers, err := w.Call(context.Background(), "in", core.Call{Op: "other.op"}); err != nil || answers != nil {
		t.Errorf("%v, %v", answers, err)
	}
	w.Target("b").Refuse(core.Refuse(core.CodeNotRunning, "gone"))
	if answers, err := w.Call(context.Background(), "in", core.Call{Op: op}); err == nil {
		t.Errorf("partial answers %v", answers)
	}
}

// Publications that come while the table changes are neither lost nor refused,
// and an old edge can be closed once SetTable has returned.
func TestTableSwapUnderLoad(t *testing.T) {
	w := newWorld(t)
	s := newSink()
	s.reply = &accepted
	w.Target("a").Run(core.Info{}, s)
	newEdge := func() *bus.Edge {
		return bus.NewEdge(w.Target("a"), bus.EdgeOptions{QueueEvents: 1_000_000})
	}
	edge := newEdge()
	set := func(e *bus.Edge) {
		w.SetTable(bus.NewTable([]bus.Route{{Sources: []string{"in"}, Edges: []*bus.Edge{e}}}))
	}
	set(edge)
	const publishers, each = 4, 5000
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			for range each {
				w.publish(core.AckRoute, false, core.Event{Topic: "t"})
			}
		})
	}
	for range 200 {
		next := newEdge()
		set(next)
		edge.Close(context.Background())
		edge = next
	}
	publishing.Wait()
	w.edges = append(w.edges, edge)
	for range publishers * each {
		if r := w.result(); r.Err != nil {
			t.Fatalf("result %+v", r)
		}
		s.next(t)
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, size := range []int{1, 256} {
		b.Run(fmt.Sprintf("%d at a time", size), func(b *testing.B) { benchmarkPublish(b, size) })
	}
}

func benchmarkPublish(b *testing.B, size int) {
	s := &discard{}
	w := bus.New()
	w.Target("a").Run(core.Info{}, s)
	edge := bus.NewEdge(w.Target("a"), bus.EdgeOptions{Overflow: bus.OverflowBlock})
	defer edge.Close(context.Background())
	w.SetTable(bus.NewTable([]bus.Route{{Sources: []string{"in"}, Edges: []*bus.Edge{edge}}}))
	f, err := frame.Encode(&core.Event{Topic: "com.myapp.topic1", Data: make([]byte, 256)})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	source, now := w.Publisher("in"), time.Now()
	batch := make([]bus.Publication, size)
	for i := range batch {
		batch[i].Frames = make([]frame.Frame, 1)
	}
	for b.Loop() {
		for i := range batch {
			batch[i].Frames[0] = f
		}
		source.Publish(batch, now, 1, s)
	}
}

// discard accepts everything.
type discard struct{}

func (*discard) PublicationsDone(uint64, int, bus.Result) {}
func (*discard) Deliver(_ context.Context, batch []bus.Delivery) error {
	for _, d := range batch {
		d.Answer(core.Accepted())
	}
	return nil
}
func (*discard) Answer(context.Context, core.Call) core.Answer { return core.Answer{None: true} }

// While an instance is replaced, events go to both generations and are answered
// once.
func TestTwoGenerations(t *testing.T) {
	ok := func(id string, receivers int) core.Receipt { return core.Receipt{ID: id, Receivers: receivers} }
	no := core.Receipt{Err: core.Refuse("no", "the test refuses")}
	for _, test := range []struct {
		name     string
		old, new core.Receipt
		oldFirst bool
		want     core.Receipt
		fails    bool
	}{
		{"both accept", ok("1", 2), ok("2", 3), true, ok("2", 5), false},
		{"both accept, the new one first", ok("1", 2), ok("2", 3), false, ok("1", 5), false},
		{"the old one refuses", no, ok("2", 3), true, ok("2", 3), false},
		{"the new one refuses", ok("1", 2), no, true, ok("1", 2), false},
		{"both refuse", no, no, true, core.Receipt{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			before, after := newSink(), newSink()
			w.edge("a", before, core.Info{}, bus.EdgeOptions{})
			w.table(core.AckRoute)
			w.Target("a").Run(core.Info{}, before, after)
			w.publish(core.AckAll, false, core.Event{Topic: "t"})
			answers := []func(){
				func() { before.next(t).Answer(test.old) },
				func() { after.next(t).Answer(test.new) },
			}
			if !test.oldFirst {
				answers[0], answers[1] = answers[1], answers[0]
			}
			answers[0]()
			w.noResult()
			answers[1]()
			r := w.result()
			if (r.Err != nil) != test.fails || len(r.Receipts) != 1 {
				t.Fatalf("result %+v", r)
			}
			if got := r.Receipts[0]; !test.fails && (got.ID != test.want.ID || got.Receivers != test.want.Receivers || got.Err != nil) {
				t.Errorf("receipt %+v, want %+v", got, test.want)
			}
		})
	}
}

// A generation that is gone holds nothing up.
func TestOneOfTwoGenerationsIsGone(t *testing.T) {
	w := newWorld(t)
	gone, alive := newSink(), newSink()
	gone.failed = true
	w.edge("a", alive, core.Info{}, bus.EdgeOptions{})
	w.table(core.AckRoute)
	w.Target("a").Run(core.Info{}, gone, alive)
	w.publish(core.AckAll, false, core.Event{Topic: "t"})
	alive.next(t).Answer(accepted)
	if r := w.result(); r.Err != nil {
		t.Errorf("result %+v", r)
	}
}
