package main

import (
	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire"
)

// newPlugin is how the bridge executes itself for the adapters bundled with it.
func newPlugin() *cobra.Command {
	return &cobra.Command{
		Use:    "plugin NAME…",
		Short:  "Serve bundled plugins; bridge starts this itself",
		Hidden: true,
		Args:   cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, names []string) error {
			var adapters []core.Adapter
			for _, name := range names {
				found := false
				for _, p := range bundled() {
					if p.Name == name {
						adapters, found = append(adapters, p.Adapters...), true
					}
				}
				if !found {
					return usage("no plugin %q is bundled", name)
				}
			}
			wire.Serve(adapters...)
			return nil
		},
	}
}
