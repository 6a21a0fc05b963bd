package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/route"
)

func newAdapters(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "adapters [NAME]",
		Short: "List the adapters there are, or describe one",
		Long: `List the adapters bundled with this bridge and the plugins in the plugin folders.
Plugins in the folders are not executed for the list. With a name, the plugin
that serves that adapter is started and asked.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			settings, err := readBridge(f)
			if err != nil {
				return err
			}
			env, close, err := newEnvironment(settings, newLog(os.Stderr, config.Log{Level: "warn"}))
			if err != nil {
				return err
			}
			defer close()
			if len(names) == 0 {
				return listAdapters(cmd, env, f.json)
			}
			info, err := route.Describe(cmd.Context(), env, names[0])
			if err != nil {
				return err
			}
			return describeAdapter(cmd, info, f.json)
		},
	}
}

// adapterView is an adapter in JSON.
type adapterView struct {
	Name    string   `json:"name"`
	Plugin  string   `json:"plugin"`
	Version string   `json:"version"`
	Summary string   `json:"summary"`
	Source  bool     `json:"source"`
	Sink    bool     `json:"sink"`
	Calls   []string `json:"calls,omitempty"`
	Kinds   []string `json:"kinds,omitempty"`
	File    string   `json:"file,omitempty"`
}

func view(info core.Info, plugin string) adapterView {
	v := adapterView{
		Name: info.Name, Plugin: plugin, Version: info.Version, Summary: info.Summary,
		Source: info.Source, Sink: info.Sink, Calls: info.Calls,
	}
	for _, kind := range info.Kinds {
		v.Kinds = append(v.Kinds, kind.String())
	}
	return v
}

func (v adapterView) roles() string {
	switch {
	case v.Source && v.Sink:
		return "source, sink"
	case v.Source:
		return "source"
	}
	return "sink"
}

func listAdapters(cmd *cobra.Command, env route.Environment, asJSON bool) error {
	var views []adapterView
	files := env.Registry.Files()
	for _, p := range env.Registry.BundledPlugins() {
		for _, a := range p.Adapters {
			v := view(a.Describe(), p.Name)
			v.File = files[p.Name]
			views = append(views, v)
		}
		delete(files, p.Name)
	}
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"adapters": views, "plugin_files": files})
	}
	table := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
	for _, v := range views {
		fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, v.roles(), v.Summary)
	}
	for plugin, file := range files {
		fmt.Fprintf(table, "(plugin %s)\t\t%s; bridge adapters NAME asks it\n", plugin, file)
	}
	return table.Flush()
}

func describeAdapter(cmd *cobra.Command, info core.Info, asJSON bool) error {
	v := view(info, "")
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "%s %s: %s\n", v.Name, v.Version, v.Summary)
	fmt.Fprintf(out, "roles: %s\n", v.roles())
	if len(v.Kinds) > 0 {
		fmt.Fprintf(out, "emits: %s\n", strings.Join(v.Kinds, ", "))
	}
	if len(v.Calls) > 0 {
		fmt.Fprintf(out, "answers: %s\n", strings.Join(v.Calls, ", "))
	}
	fmt.Fprint(out, "\nconfiguration (required marked with *):\n")
	return printSettings(out, info.Config)
}

func newSchema(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "schema [ADAPTER]",
		Short: "Print the JSON Schema of route files, or of an adapter's configuration",
		Long: `Print the JSON Schema of the files in conf.d, with the configurations of the
bundled adapters in it, for editors: save it, and begin a YAML file with

  # yaml-language-server: $schema=./bridge.schema.json

With the name of an adapter, print the schema of its configuration alone; the
name bridge.yaml prints that of the bridge's own settings.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error { return schema(cmd, f, names) },
	}
}

func schema(cmd *cobra.Command, f *flags, names []string) error {
	var document json.RawMessage
	switch {
	case len(names) == 0:
		var infos []core.Info
		for _, p := range bundled() {
			for _, a := range p.Adapters {
				infos = append(infos, a.Describe())
			}
		}
		var err error
		if document, err = config.FullSchema(infos); err != nil {
			return err
		}
	case names[0] == "bridge.yaml":
		document = config.BridgeSchema()
	default:
		info, err := askAdapter(cmd.Context(), f, names[0])
		if err != nil {
			return err
		}
		document = info.Config
	}
	encoder := json.NewEncoder(cmd.OutOrStdout())
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(document)
}

func askAdapter(ctx context.Context, f *flags, name string) (core.Info, error) {
	settings, err := readBridge(f)
	if err != nil {
		return core.Info{}, err
	}
	env, close, err := newEnvironment(settings, newLog(os.Stderr, config.Log{Level: "warn"}))
	if err != nil {
		return core.Info{}, err
	}
	defer close()
	return route.Describe(ctx, env, name)
}
