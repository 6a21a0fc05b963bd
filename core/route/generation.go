package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/inprocess"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/wire/process"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// opened is an open instance, wherever it runs.
type opened interface {
	bus.Sink
	Name() string
	Info() core.Info
	Start(context.Context) error
	Drain(context.Context) error
	Check(context.Context) error
	Stop(context.Context) error
}

// generation is one run of a file: its processes and instances.
type generation struct {
	plan  *plan
	hosts []*host
	log   *slog.Logger
}

// host is a running process with its instances, or the instances without one.
type host struct {
	plan    *hostPlan
	process *process.Process // nil without isolation
	members []*member
}

// member is an open instance.
type member struct {
	plan     *memberPlan
	instance opened
	started  bool
}

// Environment is what generations are made in.
type Environment struct {
	Bus      *bus.Bus
	Registry *registry.Registry
	// RuntimeDir is the folder (0700) for the processes' private folders.
	RuntimeDir string
	Log        *slog.Logger
}

// prepare plans a file, starts its processes and asks its adapters. The plan's
// findings say whether it can be opened; the generation must be closed in any
// case.
func prepare(ctx context.Context, env Environment, file *config.RouteFile) *generation {
	g := &generation{plan: newPlan(file, env.Registry), log: env.Log.With("route", file.Name)}
	var mu sync.Mutex // guards the plan's findings and hosts
	var starting sync.WaitGroup
	for _, hp := range g.plan.hosts {
		starting.Go(func() {
			h, a, err := g.startHost(ctx, env, hp)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				g.plan.fail(hp.members[0].path+"/adapter", err)
				return
			}
			g.hosts = append(g.hosts, h)
			g.plan.ask(ctx, hp, a)
		})
	}
	starting.Wait()
	slices.SortFunc(g.hosts, func(a, b *host) int {
		return slices.Index(g.plan.hosts, a.plan) - slices.Index(g.plan.hosts, b.plan)
	})
	g.plan.findings.Sort()
	return g
}

func (g *generation) startHost(ctx context.Context, env Environment, hp *hostPlan) (*host, adapters, error) {
	if hp.inProcess {
		return &host{plan: hp}, linked{env.Registry}, nil
	}
	p, err := process.Start(ctx, process.Options{
		Name: hp.executable.Plugin, Path: hp.executable.Path, Args: hp.executable.Args,
		RuntimeDir: env.RuntimeDir, MTLS: hp.mtls, Env: passedOn(env.Log, hp.env),
		Bus: env.Bus, Log: g.log.With("plugin", hp.executable.Plugin),
	})
	if err != nil {
		return nil, nil, err
	}
	return &host{plan: hp, process: p}, p, nil
}

// passedOn are the variables that a file asks for, and the log level.
func passedOn(log *slog.Logger, names []string) []string {
	env := []string{stream.EnvLogLevel + "=" + levelOf(log).String()}
	for _, name := range names {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func levelOf(log *slog.Logger) slog.Level {
	if log.Enabled(context.Background(), slog.LevelDebug) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
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

// open opens every instance.
func (g *generation) open(ctx context.Context, env Environment) error {
	for _, h := range g.hosts {
		var inside *inprocess.Process
		if h.process == nil {
			inside = inprocess.NewProcess(env.Bus, g.log)
		}
		for _, mp := range h.plan.members {
			instance, err := openMember(ctx, env, h, inside, mp)
			if err != nil {
				return fmt.Errorf("open %s: %w", mp.instance.Name, err)
			}
			h.members = append(h.members, &member{plan: mp, instance: instance})
		}
	}
	return nil
}

func openMember(ctx context.Context, env Environment, h *host, inside *inprocess.Process, mp *memberPlan) (opened, error) {
	if h.process != nil {
		return h.process.Open(ctx, mp.info, mp.instance.Name, mp.config)
	}
	_, adapter, _ := env.Registry.BundledAdapter(mp.info.Name)
	return inside.Open(ctx, adapter, mp.instance.Name, json.RawMessage(mp.config))
}

// members are the instances, sinks first.
func (g *generation) members() (sinks, sources []*member) {
	for _, h := range g.hosts {
		for _, m := range h.members {
			if m.plan.sink {
				sinks = append(sinks, m)
			} else {
				sources = append(sources, m)
			}
		}
	}
	return sinks, sources
}

// start starts members one after the other.
func start(ctx context.Context, members []*member) error {
	for _, m := range members {
		if err := m.instance.Start(ctx); err != nil {
			return fmt.Errorf("start %s: %w", m.instance.Name(), err)
		}
		m.started = true
	}
	return nil
}

// stop stops members at the same time, each within ctx.
func stop(ctx context.Context, members []*member) error {
	errs := make([]error, len(members))
	var stopping sync.WaitGroup
	for i, m := range members {
		stopping.Go(func() { errs[i] = m.instance.Stop(ctx) })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// drain lets members send their listeners away, at the same time.
func drain(ctx context.Context, members []*member) error {
	errs := make([]error, len(members))
	var draining sync.WaitGroup
	for i, m := range members {
		if m.started {
			draining.Go(func() { errs[i] = m.instance.Drain(ctx) })
		}
	}
	draining.Wait()
	return errors.Join(errs...)
}

// close ends the processes. Members must have been stopped.
func (g *generation) close() {
	var ending sync.WaitGroup
	for _, h := range g.hosts {
		if h.process != nil {
			ending.Go(h.process.Kill)
		}
	}
	ending.Wait()
}
