package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/inprocess"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/wire/process"
)

// opened is an open instance, wherever it runs.
type opened interface {
	bus.Sink
	Name() string
	Info() core.Info
	Start(context.Context) error
	Drain(context.Context) error
	Check(context.Context) error
	Reconfigure(context.Context, json.RawMessage) error
	Metrics(context.Context) ([]byte, error)
	Progress() (unanswered int, answered uint64)
	Stop(context.Context) error
}

// run is one start of a host: a process with its open instances, or the instances
// of those without one.
type run struct {
	process *process.Process // nil without isolation
	inside  *inprocess.Process
	members []*member
}

// member is an open instance.
type member struct {
	instance opened
	source   bool // stands in inbound
	started  bool
	checking atomic.Bool // a check has not returned yet

	answered uint64 // as of the last look at it
	stalled  int    // looks in a row without an answer
}

// check asks the instance how it is. answered is false if it did not say so within
// limit.
func (m *member) check(ctx context.Context, limit time.Duration) (answered bool, err error) {
	silent := errors.New("does not answer")
	if m.checking.Swap(true) {
		return false, silent // the last check still hangs
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err = limited(ctx, limit, "check "+m.instance.Name(), func(ctx context.Context) error {
		defer m.checking.Store(false)
		return m.instance.Check(ctx)
	})
	if err != nil && ctx.Err() != nil {
		return false, silent
	}
	return true, err
}

// stuck says so if the instance has events and has answered none since it was
// asked last. It is asked by the supervision alone.
func (m *member) stuck() error {
	unanswered, answered := m.instance.Progress()
	moved := unanswered == 0 || answered != m.answered
	m.answered = answered
	if moved {
		m.stalled = 0
		return nil
	}
	if m.stalled++; m.stalled < 2 {
		return nil
	}
	return fmt.Errorf("it answers none of the %d events that it was given", unanswered)
}

// descriptors is how an instance gets at a listening socket.
type descriptors func(ctx context.Context, instance, address string) (int, error)

// startRun starts the process of a host. The caller closes the run.
func startRun(ctx context.Context, env Environment, log *slog.Logger, plan *hostPlan, sockets descriptors) (*run, error) {
	offered := services.Services{Socket: sockets, Peers: env.Peers, State: env.State}
	if plan.inProcess {
		return &run{inside: inprocess.NewProcess(env.Bus, offered, log)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, env.Supervision.StartTimeout)
	defer cancel()
	p, err := process.Start(ctx, process.Options{
		Name: plan.executable.Plugin, Path: plan.executable.Path, Args: plan.executable.Args,
		SHA256: plan.executable.SHA256, RuntimeDir: env.RuntimeDir, StartTimeout: env.Supervision.StartTimeout, MTLS: plan.mtls, Env: passedOn(env.Log, plan.env),
		Bus: env.Bus, Services: offered, Log: log.With("plugin", plan.executable.Plugin),
	})
	if err != nil {
		return nil, err
	}
	return &run{process: p}, nil
}

// adapters is what can be asked about configurations.
func (r *run) adapters(reg *registry.Registry) adapters {
	if r.process != nil {
		return r.process
	}
	return linked{reg}
}

// linked are the adapters in this process.
type linked struct{ registry *registry.Registry }

func (l linked) Describe(context.Context) ([]core.Info, error) {
	var infos []core.Info
	for _, p := range l.registry.BundledPlugins() {
		for _, a := range p.Adapters {
			infos = append(infos, a.Describe())
		}
	}
	return infos, nil
}

func (l linked) Validate(_ context.Context, name string, config []byte) (core.Validation, error) {
	_, adapter, ok := l.registry.BundledAdapter(name)
	if !ok {
		return core.Validation{}, fmt.Errorf("%s is not bundled", name)
	}
	return adapter.Validate(config), nil
}

// open opens an instance in the run.
func (r *run) open(ctx context.Context, env Environment, mp *memberPlan) error {
	var instance opened
	err := limited(ctx, env.Supervision.StartTimeout, "open", func(ctx context.Context) error {
		i, err := r.openInstance(ctx, env.Registry, mp)
		if err == nil && ctx.Err() != nil {
			return errors.Join(ctx.Err(), i.Stop(ctx)) // nobody may wait for it any more
		}
		instance = i
		return err
	})
	if err != nil {
		return fmt.Errorf("open %s: %w", mp.instance.Name, err)
	}
	r.members = append(r.members, &member{instance: instance, source: mp.source})
	return nil
}

func (r *run) openInstance(ctx context.Context, reg *registry.Registry, mp *memberPlan) (opened, error) {
	if r.process != nil {
		return r.process.Open(ctx, mp.info, mp.instance.Name, mp.config)
	}
	_, adapter, _ := reg.BundledAdapter(mp.info.Name)
	return r.inside.Open(ctx, adapter, mp.instance.Name, mp.config)
}

// bindsItself reports whether the plugin opens its addresses by itself, so that
// two generations of it cannot have them at the same time. No run does not.
func (r *run) bindsItself() bool {
	return r != nil && r.process != nil && !r.process.TakesListeners()
}

// sinks and sources are the run's members by the place where they stand.
func (r *run) sinks() []*member {
	return slices.DeleteFunc(slices.Clone(r.members), func(m *member) bool { return m.source })
}

func (r *run) sources() []*member {
	return slices.DeleteFunc(slices.Clone(r.members), func(m *member) bool { return !m.source })
}

// ended is closed when the process ends; of a run without one it never is.
func (r *run) ended() <-chan struct{} {
	if r.process == nil {
		return nil
	}
	return r.process.Done()
}

// pid is the process's id, 0 without one.
func (r *run) pid() int {
	if r.process == nil {
		return 0
	}
	return r.process.Pid()
}

// close ends the process. Members have been stopped, or died.
func (r *run) close() {
	if r.process != nil {
		r.process.Kill()
	}
}

// startMembers starts members one after the other.
func startMembers(ctx context.Context, limit time.Duration, members []*member) error {
	for _, m := range members {
		if err := limited(ctx, limit, "start "+m.instance.Name(), m.instance.Start); err != nil {
			return fmt.Errorf("start %s: %w", m.instance.Name(), err)
		}
		m.started = true
	}
	return nil
}

// drainMembers lets members send their listeners away until ctx ends.
func drainMembers(ctx context.Context, members []*member) error {
	return together(members, func(m *member) error {
		if !m.started {
			return nil
		}
		return limited(ctx, maxDrain, "drain "+m.instance.Name(), m.instance.Drain)
	})
}

// stopMembers stops members; what is under way has until ctx ends.
func stopMembers(ctx context.Context, members []*member) error {
	return together(members, func(m *member) error {
		return limited(ctx, stopTimeout, "stop "+m.instance.Name(), m.instance.Stop)
	})
}

// together runs do for members at the same time and joins the errors.
func together(members []*member, do func(*member) error) error {
	errs := make([]error, len(members))
	var working sync.WaitGroup
	for i, m := range members {
		working.Go(func() { errs[i] = do(m) })
	}
	working.Wait()
	return errors.Join(errs...)
}

// limited calls do with ctx, which ends after limit at the latest, and gives it up
// if it does not return soon after that. A call that is given up keeps its
// goroutine until it returns; in a plugin that is when the process is killed.
func limited(ctx context.Context, limit time.Duration, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = do(ctx)
	}()
	if !returned(ctx, done) {
		return fmt.Errorf("%s: it did not return in time", what)
	}
	return err
}

// returned waits for done until ctx ends and a moment longer, and reports whether
// it came.
func returned(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	case <-ctx.Done():
	}
	grace := time.NewTimer(callGrace)
	defer grace.Stop()
	select {
	case <-done:
		return true
	case <-grace.C:
		return false
	}
}
