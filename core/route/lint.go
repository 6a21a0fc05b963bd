package route

import (
	"context"
	"fmt"
	"sync"

	"github.com/pushbridge/bridge/core/config"
)

// Lint holds files against their adapters, as Start would, and adds to each
// file's findings what is wrong: it starts the plugins that the files name to ask
// them, and opens nothing.
func Lint(ctx context.Context, env Environment, files []*config.RouteFile) {
	plans := make([]*plan, len(files))
	var asking sync.WaitGroup
	for i, file := range files {
		plans[i] = newPlan(file, env.Registry)
		asking.Go(func() { plans[i].lint(ctx, env) })
	}
	asking.Wait()
	var held []claim
	for i, file := range files {
		plans[i].checkAddresses(held)
		held = append(held, plans[i].claims()...)
		file.Findings = append(file.Findings, plans[i].findings...)
		file.Findings.Sort()
	}
}

// lint asks every host's adapters.
func (p *plan) lint(ctx context.Context, env Environment) {
	var mu sync.Mutex // guards the plan's findings
	var asking sync.WaitGroup
	for _, h := range p.hosts {
		asking.Go(func() {
			r, err := startRun(ctx, env, env.Log.With("route", p.file.Name), h, noSockets)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				defer r.close()
				err = p.ask(ctx, env.Supervision.StartTimeout, h, r.adapters(env.Registry))
			}
			if err != nil {
				p.fail(h.members[0].path+"/adapter", err)
			}
		})
	}
	asking.Wait()
}

// noSockets is for runs that nothing is opened in.
func noSockets(_ context.Context, instance, _ string) (int, error) {
	return -1, fmt.Errorf("%s was not opened", instance)
}
