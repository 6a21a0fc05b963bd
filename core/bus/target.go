package bus

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
)

// Sink is a running instance as the bus sees it. core/wire implements it for a
// plugin's instance, core/route for one linked into this process.
type Sink interface {
	// Deliver hands over a batch and returns when it is taken; blocking is
	// backpressure. Every delivery is answered once, from any goroutine: also
	// when the instance dies, then with outcome unknown. An error means that
	// nothing of the batch was taken. The slice is the caller's again when
	// Deliver returns.
	Deliver(ctx context.Context, batch []Delivery) error

	// Answer puts a call to the instance.
	Answer(ctx context.Context, call core.Call) core.Answer
}

// Target is a name that edges deliver to, and the sinks that stand behind it
// now: none (not running), one, or two generations of one instance. A target
// outlives its sinks: edges that name it wait, or refuse, as it says.
type Target struct {
	name string

	mu      sync.Mutex
	info    core.Info
	sinks   []Sink
	refusal *core.Refusal
	changed chan struct{} // closed and replaced at every change
}

func newTarget(name string) *Target {
	t := &Target{name: name, changed: make(chan struct{})}
	t.refusal = core.RefuseRetry(core.CodeNotRunning, time.Second, "no instance %q is running", name)
	return t
}

// Name is the instance's name.
func (t *Target) Name() string { return t.name }

// Run puts sinks behind the target, in place of those before.
func (t *Target) Run(info core.Info, sinks ...Sink) {
	t.set(info, slices.Clone(sinks), nil)
}

// Hold takes the sinks away: edges keep what they have queued, and go on
// queueing, until Run or Refuse. For the moments in which an instance restarts.
func (t *Target) Hold() {
	t.mu.Lock()
	info := t.info
	t.mu.Unlock()
	t.set(info, nil, nil)
}

// Refuse takes the sinks away and answers everything, queued or new, with
// refusal.
func (t *Target) Refuse(refusal *core.Refusal) {
	t.mu.Lock()
	info := t.info
	t.mu.Unlock()
	t.set(info, nil, refusal)
}

func (t *Target) set(info core.Info, sinks []Sink, refusal *core.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.info, t.sinks, t.refusal = info, sinks, refusal
	close(t.changed)
	t.changed = make(chan struct{})
}

// now returns what stands behind the target: sinks, or a refusal, or neither
// (hold); and a channel that is closed at the next change.
func (t *Target) now() (sinks []Sink, refusal *core.Refusal, changed <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sinks, t.refusal, t.changed
}

// refused returns the refusal in force, if any.
func (t *Target) refused() *core.Refusal {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refusal
}

func (t *Target) describe() core.Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.info
}

// answer puts the call to every generation behind the target.
func (t *Target) answer(ctx context.Context, call core.Call) []core.Answer {
	sinks, refusal, _ := t.now()
	if len(sinks) == 0 {
		if refusal == nil {
			refusal = core.RefuseRetry(core.CodeNotRunning, time.Second, "instance %q is starting", t.name)
		}
		return []core.Answer{{Sink: t.name, Err: refusal}}
	}
	answers := make([]core.Answer, len(sinks))
	for i, sink := range sinks {
		answers[i] = sink.Answer(ctx, call)
		answers[i].Sink = t.name
	}
	return answers
}
