package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
)

// The tests of retrying run in bubbles of testing/synctest: their clock stands
// still while anybody works and jumps to the next timer when nobody does.

var (
	notNow  = core.Receipt{Err: core.RefuseRetry("busy", 0, "the test refuses for now")}
	notEver = core.Receipt{Err: core.Refuse("no", "the test refuses")}
	lost    = core.Receipt{Err: &core.Refusal{Code: core.CodeGone, Message: "the test's sink died", Retryable: true, Outcome: core.OutcomeUnknown}}
)

// retrying is a world with one edge that retries, to the sink "a".
type retrying struct {
	*world
	sink *sink
	edge *bus.Edge
	log  *bytes.Buffer
}

func newRetrying(t *testing.T, retry bus.Retry, change ...func(*bus.EdgeOptions)) *retrying {
	r := &retrying{world: newWorld(t), sink: newSink(), log: new(bytes.Buffer)}
	options := bus.EdgeOptions{Route: "r", Retry: &retry, Log: slog.New(slog.NewTextHandler(r.log, nil))}
	for _, c := range change {
		c(&options)
	}
	r.edge = r.world.edge("a", r.sink, core.Info{}, options)
	r.table(core.AckRoute)
	return r
}

// send publishes one event, to be answered when the sink has.
func (r *retrying) send(topic, name string) {
	r.t.Helper()
	r.publish(core.AckAll, false, core.Event{Topic: topic, Name: name})
}

// next returns the next delivery, which must be of the event, whenever it comes.
func (r *retrying) next(name string) bus.Delivery {
	r.t.Helper()
	d := <-r.sink.arrived
	if got := d.Frame.Decode().Name; got != name {
		r.t.Fatalf("event %s was delivered, want %s", got, name)
	}
	return d
}

// nothing wants that nothing is delivered or answered now.
func (r *retrying) nothing() {
	r.t.Helper()
	synctest.Wait()
	select {
	case d := <-r.sink.arrived:
		r.t.Fatalf("event %s was delivered", d.Frame.Decode().Name)
	case result := <-r.results:
		r.t.Fatalf("result %+v", result)
	default:
	}
}

// result returns the next result, which must be there now.
func (r *retrying) result() bus.Result {
	r.t.Helper()
	synctest.Wait()
	select {
	case result := <-r.results:
		return result
	default:
		r.t.Fatal("no result")
		return bus.Result{}
	}
}

func (r *retrying) accepted() {
	r.t.Helper()
	if result := r.result(); result.Err != nil {
		r.t.Fatalf("result %+v", result)
	}
}

// refused wants a result with this code and outcome.
func (r *retrying) refused(code string, outcome core.Outcome) {
	r.t.Helper()
	result := r.result()
	if result.Err == nil || result.Err.Code != code || result.Err.Outcome != outcome {
		r.t.Fatalf("result %+v, want %s, %s", result.Err, code, outcome)
	}
	if len(result.Receipts) != 1 || result.Receipts[0].Sink != "a" || result.Receipts[0].EventID == "" {
		r.t.Fatalf("receipts %+v", result.Receipts)
	}
}

// near wants a wait that is at most a tenth off.
func near(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got < want-want/10 || got > want+want/10 {
		t.Errorf("waited %s, want about %s", got, want)
	}
}

func TestRetryBacksOffUntilItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{For: 60 * time.Second, First: time.Second, Max: 8 * time.Second})
		r.send("t", "1")
		arrived, last := time.Now(), time.Now()
		r.next("1").Answer(notNow)
		for _, want := range []int{1, 2, 4, 8, 8, 8, 8, 8, 8} {
			d := r.next("1")
			if time.Since(arrived) == 60*time.Second {
				d.Answer(notNow)
				break
			}
			near(t, time.Since(last), time.Duration(want)*time.Second)
			last = time.Now()
			d.Answer(notNow)
		}
		if after := time.Since(arrived); after > 60*time.Second {
			t.Errorf("tried %s after its arrival", after)
		}
		for len(r.results) == 0 { // the random part decides how many attempts there are
			r.next("1").Answer(notNow)
			synctest.Wait()
		}
		if after := time.Since(arrived); after != 60*time.Second {
			t.Errorf("the last attempt came %s after the arrival", after)
		}
		r.refused("busy", core.OutcomeNotDone)
		counts := r.edge.Counts()
		if counts.Refused.Load() != 1 || counts.GivenUp.Load() != 1 || counts.Delivered.Load() != 0 || counts.Retried.Load() < 8 {
			t.Errorf("refused %d, given up %d, delivered %d, retried %d",
				counts.Refused.Load(), counts.GivenUp.Load(), counts.Delivered.Load(), counts.Retried.Load())
		}
		if got := r.log.String(); !strings.Contains(got, "given up") || !strings.Contains(got, "route=r sink=a events=1") {
			t.Errorf("log: %s", got)
		}
	})
}

func TestRetryDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		arrived := time.Now()
		r.send("t", "1")
		for len(r.results) == 0 {
			r.next("1").Answer(notNow)
			synctest.Wait()
		}
		if after := time.Since(arrived); after != bus.DefaultRetryFor {
			t.Errorf("given up after %s", after)
		}
	})
}

func TestRetryComesWhenTheRefusalSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{For: time.Minute})
		r.send("t", "1")
		start := time.Now()
		r.next("1").Answer(core.Receipt{Err: core.RefuseRetry("busy", 20*time.Second, "later")})
		d := r.next("1")
		if waited := time.Since(start); waited < 20*time.Second || waited > 22*time.Second {
			t.Errorf("waited %s, want 20 s or a little more", waited)
		}
		d.Answer(core.Receipt{Err: core.RefuseRetry("busy", time.Hour, "much later")})
		d = r.next("1")
		if waited := time.Since(start); waited != time.Minute {
			t.Errorf("the last attempt came after %s, want the minute that it has", waited)
		}
		d.Answer(accepted)
		r.accepted()
	})
}

// A failing event holds back its topic and nothing else.
func TestRetryKeepsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		r.send("a", "a1")
		r.send("a", "a2")
		failed := r.next("a1")
		r.nothing() // one under way at a time
		r.send("b", "b1")
		r.next("b1").Answer(accepted)
		r.accepted()
		failed.Answer(notNow)
		r.send("a", "a3")
		r.send("b", "b2")
		r.next("b2").Answer(accepted)
		r.accepted()
		if n := r.edge.Queued(); n != 3 {
			t.Errorf("%d events wait, want 3", n)
		}
		r.next("a1").Answer(notNow)
		r.nothing()
		r.next("a1").Answer(accepted)
		r.accepted()
		r.next("a2").Answer(notEver) // a final refusal holds back nobody
		r.refused("no", core.OutcomeNotDone)
		r.next("a3").Answer(accepted)
		r.accepted()
		if n := r.edge.Queued(); n != 0 {
			t.Errorf("%d events wait", n)
		}
	})
}

// Spaces and sources have topics of their own.
func TestRetryLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		r.publish(core.AckAll, false, core.Event{Topic: "t", Space: "1", Name: "one"})
		r.next("one").Answer(notNow)
		r.publish(core.AckAll, false, core.Event{Topic: "t", Space: "2", Name: "two"})
		r.next("two").Answer(accepted)
		r.accepted()
		r.next("one").Answer(accepted)
		r.accepted()
	})
}

// What may already have been delivered is never called not done.
func TestRetryRemembersAnUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		r.send("t", "1")
		r.next("1").Answer(lost)
		r.next("1").Answer(notEver)
		r.refused("no", core.OutcomeUnknown)
	})
}

// An event that waited behind a failing one until its own time was over is given
// up with it; one that comes later is tried.
func TestRetryGivesUpBehindAFailingEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{For: 10 * time.Second})
		r.send("t", "1")
		slow := r.next("1")
		r.send("t", "2")
		time.Sleep(10 * time.Second)
		r.send("t", "3")
		slow.Answer(notNow)
		r.refused("busy", core.OutcomeNotDone)
		r.refused(core.CodeTimeout, core.OutcomeNotDone)
		r.next("3").Answer(accepted)
		r.accepted()
		if n := r.edge.Counts().GivenUp.Load(); n != 2 {
			t.Errorf("%d given up, want 2", n)
		}
	})
}

// A slow sink that refuses nothing loses nothing to the time for retrying.
func TestRetryTriesEverythingOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{For: 10 * time.Second})
		r.send("t", "1")
		slow := r.next("1")
		r.send("t", "2")
		time.Sleep(time.Minute)
		slow.Answer(accepted)
		r.accepted()
		r.next("2").Answer(accepted)
		r.accepted()
	})
}

func TestRetryIsBounded(t *testing.T) {
	// parked has two events waiting on an edge for two.
	parked := func(t *testing.T, overflow bus.Overflow) *retrying {
		r := newRetrying(t, bus.Retry{}, func(o *bus.EdgeOptions) { o.QueueEvents, o.Overflow = 2, overflow })
		r.send("t", "1")
		r.next("1").Answer(lost)
		r.send("t", "2")
		synctest.Wait()
		return r
	}
	t.Run("reject", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := parked(t, bus.OverflowReject)
			r.send("u", "3")
			r.refused(core.CodeQueueFull, core.OutcomeNotDone)
			r.next("1").Answer(accepted)
			r.accepted()
			r.send("u", "4")
			r.next("2").Answer(accepted)
			r.accepted()
			r.next("4").Answer(accepted)
			r.accepted()
		})
	})
	t.Run("bytes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRetrying(t, bus.Retry{}, func(o *bus.EdgeOptions) { o.QueueBytes = 1000 })
			r.publish(core.AckAll, false, core.Event{Topic: "t", Name: "1", Data: make([]byte, 900)})
			r.next("1").Answer(notNow)
			r.publish(core.AckAll, false, core.Event{Topic: "u", Name: "2", Data: make([]byte, 100)})
			r.refused(core.CodeQueueFull, core.OutcomeNotDone)
		})
	})
	t.Run("block", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := parked(t, bus.OverflowBlock)
			r.publish(core.AckRoute, false, core.Event{Topic: "u", Name: "3"})
			r.nothing()
			again := r.next("1") // what is under way makes room
			r.accepted()
			r.next("3").Answer(accepted)
			again.Answer(accepted)
			r.accepted()
			r.next("2").Answer(accepted)
			r.accepted()
		})
	})
	t.Run("drop oldest", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := parked(t, bus.OverflowDropOldest)
			r.send("u", "3")
			r.refused(core.CodeDropped, core.OutcomeUnknown) // 1 was tried
			r.next("3").Answer(accepted)
			r.accepted()
			r.send("u", "4")
			under := r.next("4")
			r.send("u", "5")
			r.send("u", "6")
			r.refused(core.CodeDropped, core.OutcomeNotDone) // 2 was not
			under.Answer(accepted)
			r.accepted()
			r.next("5").Answer(accepted)
			r.accepted()
			r.next("6").Answer(accepted)
			r.accepted()
			if n := r.edge.Counts().Dropped.Load(); n != 2 {
				t.Errorf("%d dropped, want 2", n)
			}
		})
	})
}

// Closing gives what waits one last attempt, in order, and waits for no time.
func TestRetryClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		r.send("a", "a1")
		r.next("a1").Answer(notNow)
		r.send("a", "a2")
		r.send("b", "b1")
		under := r.next("b1")
		r.SetTable(bus.NewTable(nil))
		closed, start := make(chan struct{}), time.Now()
		go func() {
			defer close(closed)
			r.edge.Close(context.Background())
		}()
		r.next("a1").Answer(notNow)
		r.refused("busy", core.OutcomeNotDone)
		r.next("a2").Answer(accepted)
		r.accepted()
		under.Answer(lost)
		r.refused(core.CodeGone, core.OutcomeUnknown)
		<-closed
		if waited := time.Since(start); waited != 0 {
			t.Errorf("closing took %s", waited)
		}
		if n := r.edge.Counts().GivenUp.Load(); n != 2 {
			t.Errorf("%d given up, want 2", n)
		}
	})
}

// What still waits when the time for closing is over is given up, counted and
// logged.
func TestRetryCloseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		r.send("a", "a1")
		r.next("a1").Answer(lost)
		r.send("a", "a2")
		r.send("b", "b1")
		under := r.next("b1")
		r.send("b", "b2")
		synctest.Wait()
		r.Target("a").Hold() // nobody is there to take the last attempts
		r.SetTable(bus.NewTable(nil))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		r.edge.Close(ctx)
		got := map[string]int{}
		for range 3 {
			result := <-r.results
			got[result.Err.Code+" "+result.Err.Outcome.String()]++
		}
		// a1 was about to be handed over; a2 and b2 were never tried.
		if got["not_running unknown"] != 1 || got["not_running not_done"] != 2 {
			t.Errorf("results %v", got)
		}
		under.Answer(notNow)
		r.refused("busy", core.OutcomeNotDone)
		if n := r.edge.Counts().GivenUp.Load(); n != 4 {
			t.Errorf("%d given up, want 4", n)
		}
		if got := r.log.String(); !strings.Contains(got, "the route was stopped") || !strings.Contains(got, "events=3") {
			t.Errorf("log: %s", got)
		}
		if n := r.edge.Queued(); n != 0 {
			t.Errorf("%d events wait", n)
		}
	})
}

// An edge that retries waits for a target that refuses for now.
func TestRetryWaitsForItsTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		r.Target("a").Refuse(core.RefuseRetry(core.CodeNotRunning, time.Second, "the test's instance is restarted"))
		r.send("t", "1")
		r.send("t", "2")
		r.publish(core.AckRoute, false, core.Event{Topic: "t", Name: "3"})
		r.accepted()
		time.Sleep(5 * time.Second)
		r.nothing()
		r.Target("a").Run(core.Info{}, r.sink)
		for _, name := range []string{"1", "2"} {
			r.next(name).Answer(accepted)
			r.accepted()
		}
		r.next("3").Answer(accepted)
		r.Target("a").Refuse(core.Refuse("over", "the test is over"))
		r.send("t", "4")
		r.refused("over", core.OutcomeNotDone)
	})
}

// An event that one of two generations accepted is not tried again.
func TestRetryWithTwoGenerations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{})
		old := newSink()
		r.Target("a").Run(core.Info{}, old, r.sink)
		r.send("t", "1")
		r.send("t", "2")
		(<-old.arrived).Answer(notNow)
		r.next("1").Answer(notEver)
		r.nothing() // one of them may take it later
		r.next("1").Answer(notNow)
		(<-old.arrived).Answer(accepted)
		r.accepted()
		(<-old.arrived).Answer(lost)
		r.next("2").Answer(notEver)
		r.Target("a").Run(core.Info{}, r.sink)
		r.next("2").Answer(notEver)
		r.refused("no", core.OutcomeUnknown)
	})
}

// With more under way at a time, those refused are tried again before the rest,
// the first of them alone.
func TestRetryInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{InFlight: 3})
		events := make([]core.Event, 5)
		for i := range events {
			events[i] = core.Event{Topic: "t", Name: fmt.Sprint(i + 1)}
		}
		r.publish(core.AckAll, false, events...)
		one, two, three := r.next("1"), r.next("2"), r.next("3")
		r.nothing()
		three.Answer(notNow)
		one.Answer(notNow)
		r.nothing()
		two.Answer(accepted)
		one = r.next("1")
		r.nothing()
		one.Answer(accepted)
		three, four, five := r.next("3"), r.next("4"), r.next("5")
		five.Answer(accepted)
		four.Answer(accepted)
		three.Answer(accepted)
		if result := r.result(); result.Err != nil || len(result.Receipts) != len(events) {
			t.Fatalf("result %+v", result)
		}
	})
}

// Whatever a sink refuses, each event is accepted once and those of a topic in
// order.
func TestRetryAnything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRetrying(t, bus.Retry{For: time.Hour, Max: 4 * time.Second})
		const publishers, each, topics = 4, 500, 7
		moody := &moodySink{got: make(map[string][]int)}
		r.Target("a").Run(core.Info{}, moody)
		var publishing sync.WaitGroup
		for p := range publishers {
			publishing.Go(func() {
				for n := range each {
					topic := fmt.Sprintf("%d/%d", p, rand.IntN(topics))
					r.publish(core.AckAll, false, core.Event{Topic: topic, Name: fmt.Sprint(n)})
					if n%50 == 0 {
						time.Sleep(time.Second)
					}
				}
			})
		}
		publishing.Wait()
		for range publishers * each {
			if result := <-r.results; result.Err != nil {
				t.Fatalf("result %+v", result)
			}
		}
		moody.mu.Lock()
		defer moody.mu.Unlock()
		total := 0
		for topic, got := range moody.got {
			total += len(got)
			if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
				t.Errorf("topic %s: %v", topic, got)
			}
		}
		if total != publishers*each {
			t.Errorf("%d events were accepted, want %d", total, publishers*each)
		}
	})
}

// moodySink refuses every third event for now and answers from elsewhere.
type moodySink struct {
	mu  sync.Mutex
	got map[string][]int
}

func (s *moodySink) Deliver(_ context.Context, batch []bus.Delivery) error {
	for _, d := range batch {
		go func() {
			if rand.IntN(3) == 0 {
				d.Answer(notNow)
				return
			}
			event := d.Frame.Decode()
			var n int
			fmt.Sscan(event.Name, &n)
			s.mu.Lock()
			s.got[event.Topic] = append(s.got[event.Topic], n)
			s.mu.Unlock()
			d.Answer(accepted)
		}()
	}
	return nil
}

func (*moodySink) Answer(context.Context, core.Call) core.Answer { return core.Answer{None: true} }

// BenchmarkPublishRetrying is BenchmarkPublish over an edge that retries, with
// events of one topic and of many.
func BenchmarkPublishRetrying(b *testing.B) {
	for _, topics := range []int{1, 256} {
		b.Run(fmt.Sprintf("256 at a time, %d topics", topics), func(b *testing.B) {
			s := &discard{}
			w := bus.New()
			w.Target("a").Run(core.Info{}, s)
			edge := bus.NewEdge(w.Target("a"), bus.EdgeOptions{Overflow: bus.OverflowBlock, Retry: &bus.Retry{}})
			defer edge.Close(context.Background())
			w.SetTable(bus.NewTable([]bus.Route{{Sources: []string{"in"}, Edges: []*bus.Edge{edge}}}))
			frames := make([]frame.Frame, topics)
			for i := range frames {
				f, err := frame.Encode(&core.Event{Topic: fmt.Sprintf("com.myapp.topic%d", i), Data: make([]byte, 256)})
				if err != nil {
					b.Fatal(err)
				}
				frames[i] = f
			}
			b.ReportAllocs()
			source, now := w.Publisher("in"), time.Now()
			batch := make([]bus.Publication, 256)
			for i := range batch {
				batch[i].Frames = make([]frame.Frame, 1)
			}
			for b.Loop() {
				for i := range batch {
					batch[i].Frames[0] = frames[i%topics]
				}
				source.Publish(batch, now, 1, s)
			}
		})
	}
}
