package route

import (
	"context"
	"fmt"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire/process"
)

// Describe asks the executable that serves an adapter about it.
func Describe(ctx context.Context, env Environment, adapter string) (core.Info, error) {
	executable, err := env.Registry.Find(adapter, "")
	if err != nil {
		return core.Info{}, err
	}
	if executable.Bundled {
		_, bundled, _ := env.Registry.BundledAdapter(adapter)
		return bundled.Describe(), nil
	}
	p, err := process.Start(ctx, process.Options{
		Name: executable.Plugin, Path: executable.Path, Args: executable.Args,
		RuntimeDir: env.RuntimeDir, Bus: env.Bus, Log: env.Log,
	})
	if err != nil {
		return core.Info{}, err
	}
	defer p.Kill()
	infos, err := p.Describe(ctx)
	if err != nil {
		return core.Info{}, err
	}
	for _, info := range infos {
		if info.Name == adapter {
			return info, nil
		}
	}
	return core.Info{}, fmt.Errorf("the plugin %s has no adapter %q", executable, adapter)
}
