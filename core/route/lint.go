package route

import (
	"context"
	"sync"

	"github.com/pushbridge/bridge/core/config"
)

// Lint holds files against their adapters, as Start would, and adds to each
// file's findings what is wrong: it starts the plugins that the files name to ask
// them, and opens nothing.
func Lint(ctx context.Context, env Environment, files []*config.RouteFile) {
	generations := make([]*generation, len(files))
	var preparing sync.WaitGroup
	for i, file := range files {
		preparing.Go(func() {
			generations[i] = prepare(ctx, env, file)
			generations[i].close()
		})
	}
	preparing.Wait()
	var held []claim
	for i, file := range files {
		p := generations[i].plan
		p.checkAddresses(held)
		held = append(held, p.claims()...)
		file.Findings = append(file.Findings, p.findings...)
		file.Findings.Sort()
	}
}
