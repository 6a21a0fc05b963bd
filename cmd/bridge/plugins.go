package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/registry"
)

func newPlugins(f *flags) *cobra.Command {
	plugins := &cobra.Command{
		Use:   "plugins",
		Short: "List plugins, lock their checksums, check them, restart them",
		Long: `A plugin is an executable bridge-plugin-NAME in a plugin folder, or one of those
bundled with the bridge. None is executed that no route names, and none that its
group or others may write to.

If there is a plugins.lock beside bridge.yaml (or where plugins_lock says), a
plugin runs only if the lock has its checksum. One that does not match keeps the
routes that name it from running, and no others.

  bridge plugins lock       trust the plugins that the routes name, as they are now
  bridge plugins check      say what is not as it was locked; exit code 3
  bridge plugins list       what there is; nothing is executed
  bridge plugins restart X  give the processes of a plugin successors`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("unknown command %q; there are list, lock, check and restart", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	plugins.AddCommand(newPluginsList(f), newPluginsLock(f), newPluginsCheck(f), newPluginsRestart(f))
	return plugins
}

// named is an adapter that a route names.
type named struct {
	file    *config.RouteFile
	path    string // of the instance in the file
	adapter string
	plugin  string // if the file names it
}

// fault is a finding about the adapter.
func (n named) fault(err error) config.Finding {
	return n.file.Locate(core.SeverityError, n.path+"/adapter", err.Error())
}

// inventory is what the commands about plugins start from.
type inventory struct {
	registry *registry.Registry
	lock     string // path of the lock, whether or not it is there
	named    []named
	// findings are the errors in route files: those files name more plugins
	// perhaps.
	findings config.Findings
}

func takeInventory(f *flags) (*inventory, error) {
	settings, err := readBridge(f)
	if err != nil {
		return nil, err
	}
	plugins, err := newRegistry(settings)
	if err != nil {
		return nil, err
	}
	files, err := config.ReadFolder(settings.ConfDir, config.Environment{NoSecrets: true})
	if err != nil {
		return nil, fmt.Errorf("%w; say where it is with --conf-dir", err)
	}
	v := &inventory{registry: plugins}
	v.lock, _ = settings.Lock()
	for _, file := range files {
		v.add(file)
	}
	return v, nil
}

func (v *inventory) add(file *config.RouteFile) {
	for _, finding := range file.Findings {
		if finding.Severity == core.SeverityError {
			v.findings = append(v.findings, finding)
		}
	}
	add := func(path string, i *config.Instance) {
		if i.Adapter != "" && i.Isolation != "none" {
			v.named = append(v.named, named{file, path, i.Adapter, i.Plugin})
		}
	}
	for n := range file.Route.Inbound {
		add(file.InboundPath(n), &file.Route.Inbound[n].Instance)
	}
	for n := range file.Route.Outbound {
		add(file.OutboundPath(n), &file.Route.Outbound[n].Instance)
	}
}

// pluginView is a plugin in the list.
type pluginView struct {
	Plugin  string `json:"plugin"`
	Bundled bool   `json:"bundled"`
	File    string `json:"file,omitempty"`
	// Lock is locked, changed, not locked, refused, or empty without a lock.
	Lock     string   `json:"lock,omitempty"`
	SHA256   string   `json:"sha256,omitempty"`
	Problem  string   `json:"problem,omitempty"`
	Adapters []string `json:"adapters,omitempty"` // those known without asking
	Routes   []string `json:"routes,omitempty"`   // that name it
}

func newPluginsList(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the plugins there are, who names them, and whether they are locked",
		Long: `List the plugins in the plugin folders and those bundled with the bridge. None is
executed: of a plugin in a folder, the adapters are those that routes name.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := takeInventory(f)
			if err != nil {
				return err
			}
			views := v.list()
			if f.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"lock": v.lock, "plugins": views})
			}
			return printPlugins(cmd, views)
		},
	}
}

// list describes the files in order of name, then the bundled plugins that no file
// stands in for.
func (v *inventory) list() []*pluginView {
	var views []*pluginView
	files := v.registry.Files()
	for _, plugin := range slices.Sorted(maps.Keys(files)) {
		views = append(views, v.fileView(plugin, files[plugin]))
	}
	for _, p := range v.registry.BundledPlugins() {
		if files[p.Name] != "" {
			continue
		}
		view := &pluginView{Plugin: p.Name, Bundled: true}
		for _, a := range p.Adapters {
			view.Adapters = append(view.Adapters, a.Describe().Name)
		}
		views = append(views, view)
	}
	for _, n := range v.named {
		at := slices.IndexFunc(views, func(view *pluginView) bool { return v.serves(view, n) })
		if at < 0 {
			continue
		}
		view := views[at]
		if !slices.Contains(view.Adapters, n.adapter) {
			view.Adapters = append(view.Adapters, n.adapter)
		}
		if !slices.Contains(view.Routes, n.file.Name) {
			view.Routes = append(view.Routes, n.file.Name)
		}
	}
	return views
}

// serves reports whether a plugin is the one for an adapter. One that is refused
// is it too.
func (v *inventory) serves(view *pluginView, n named) bool {
	e, err := v.registry.Locate(n.adapter, n.plugin)
	var refused *registry.IntegrityError
	if errors.As(err, &refused) {
		return view.File == refused.Path
	}
	return err == nil && e.Plugin == view.Plugin
}

func (v *inventory) fileView(plugin, file string) *pluginView {
	view := &pluginView{Plugin: plugin, File: file}
	e, err := v.registry.Find("", plugin)
	var refused *registry.IntegrityError
	switch {
	case errors.As(err, &refused):
		view.Problem = refused.Problem + "; " + refused.Next
		view.Lock = map[string]string{
			registry.CodeNotLocked: "not locked", registry.CodeChanged: "changed",
		}[refused.Code]
		if view.Lock == "" {
			view.Lock = "refused"
		}
	case err != nil:
		view.Problem = err.Error()
	case e.SHA256 != "":
		view.Lock = "locked"
	}
	if sum, err := registry.Checksum(file); err == nil {
		view.SHA256 = sum
	}
	return view
}

func printPlugins(cmd *cobra.Command, views []*pluginView) error {
	lines := []statusLine{{cells: []string{"PLUGIN", "WHERE", "LOCK", "SHA256", "ADAPTERS", "ROUTES"}}}
	for _, view := range views {
		where, lock := view.File, view.Lock
		if view.Bundled {
			where = "bundled"
		} else if lock == "" {
			lock = "no lock"
		}
		line := statusLine{cells: []string{
			view.Plugin, where, lock, view.SHA256[:min(12, len(view.SHA256))], strings.Join(view.Adapters, ","), strings.Join(view.Routes, ","),
		}}
		if view.Problem != "" {
			line.below = []string{view.Problem}
		}
		lines = append(lines, line)
	}
	return printLines(cmd.OutOrStdout(), lines)
}

func newPluginsRestart(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "restart PLUGIN",
		Short: "Give the processes of a plugin successors",
		Long: `Start a new process for each one of a plugin in the bridge that serves the folder
of routes, move its instances there, let the old one send its listeners away, and
end it. No event is lost and no connection refused. This also tries a route again
that was given up.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			client, err := newClient(f)
			if err != nil {
				return err
			}
			routes, err := client.Restart(cmd.Context(), names[0])
			if err != nil {
				return err
			}
			if f.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"plugin": names[0], "routes": routes})
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s was restarted in %s\n", names[0], strings.Join(routes, ", "))
			return err
		},
	}
}
