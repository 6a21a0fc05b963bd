package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/admin"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/route"
	"github.com/pushbridge/bridge/core/wire/stream"
)

func newServe(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the routes",
		Long: `Run every route in the folder of routes until SIGTERM or SIGINT; then finish what
is under way, send listeners away, and exit. A second signal ends it at once.

A file with errors keeps its own route from running and no other. What changes
while the bridge runs (a file of the folder, a secret that one names, a plugin)
takes effect by itself, also on SIGHUP or bridge reload; what cannot be used
changes nothing, and bridge status says why.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), cmd.OutOrStdout(), f) },
	}
}

func serve(ctx context.Context, out io.Writer, f *flags) error {
	ctx, restore := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer restore()
	stream.RelaxCollector()
	settings, err := readBridge(f)
	if err != nil {
		return err
	}
	log := newLog(os.Stderr, settings.Log)
	files, err := config.ReadFolder(settings.ConfDir, config.Environment{})
	if err != nil {
		return fmt.Errorf("%w; say where it is with --conf-dir", err)
	}
	env, close, err := newEnvironment(settings, log)
	if err != nil {
		return err
	}
	defer close()
	routes := route.New(env)
	stopServers, err := serveAdmin(ctx, settings, routes, log)
	if err != nil {
		return err
	}
	defer stopServers()
	routes.Start(files)
	report(out, routes.Status(), f.json)
	if len(files) == 0 {
		log.Warn("nothing to do", "reason", config.ErrNoRoutes, "folder", settings.ConfDir)
	}
	watch(ctx, routes)
	restore() // a second signal ends the program in the ordinary way
	log.Info("stopping", "timeout", settings.DrainTimeout.Std())
	return stopRoutes(routes, settings.DrainTimeout.Std())
}

// watch reloads what changes, and on SIGHUP, until ctx ends.
func watch(ctx context.Context, routes *route.Routes) {
	hangup := make(chan os.Signal, 1) // a second one before the first was heard asks for nothing more
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	routes.Watch(ctx, hangup)
}

// serveAdmin serves the control socket, and the admin address if there is one. The
// caller calls stop.
func serveAdmin(ctx context.Context, settings config.Bridge, routes *route.Routes, log *slog.Logger) (stop func(), err error) {
	self := admin.Bridge{
		Version: version(), Node: settings.Node, ConfDir: settings.ConfDir, Pid: os.Getpid(), Started: time.Now(),
	}
	path, err := admin.ControlPath(admin.RuntimeDir(settings.RuntimeDir), settings.ConfDir)
	if err != nil {
		return nil, err
	}
	control, err := admin.ServeControl(path, self, routes, log)
	if err != nil {
		return nil, err
	}
	servers := []*admin.Server{control}
	stop = func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		for _, server := range servers {
			if err := server.Stop(ctx); err != nil {
				log.Debug("stop serving", "address", server.Address(), "error", err)
			}
		}
	}
	if settings.Admin == "" {
		return stop, nil
	}
	health, err := admin.ServeAdmin(ctx, settings.Admin, self, routes, log)
	if err != nil {
		stop()
		return nil, err
	}
	servers = append(servers, health)
	log.Info("health and metrics", "address", health.Address())
	return stop, nil
}

// stopGrace is what stopping may take beyond the drain timeout, to cut off what
// did not finish.
const stopGrace = 5 * time.Second

func stopRoutes(routes *route.Routes, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	stopped := make(chan error, 1) // one result, whether or not anybody waits
	go func() { stopped <- routes.Stop(ctx) }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(timeout + stopGrace):
		return fmt.Errorf("stopping took longer than %s and was given up", timeout+stopGrace)
	}
}

// report says what runs, once.
func report(out io.Writer, all []route.Status, asJSON bool) {
	if asJSON {
		_ = json.NewEncoder(out).Encode(map[string]any{"version": version(), "routes": all})
		return
	}
	fmt.Fprintf(out, "bridge %s\n", version())
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, status := range all {
		fmt.Fprintf(table, "\n%s\t%s\t%s\n", status.Route, status.State, status.File)
		if status.Problem != "" && len(status.Findings) == 0 {
			fmt.Fprintf(table, "  %s\n", strings.ReplaceAll(status.Problem, "\n", "\n  "))
		}
		for _, i := range status.Instances {
			arrow := "->"
			if i.Source {
				arrow = "<-"
			}
			fmt.Fprintf(table, "  %s %s\t%s\tpid %d\n", arrow, i.Name, strings.Join(urls(i.Addresses), " "), i.Pid)
		}
	}
	_ = table.Flush()
}

// urls are addresses as people paste them.
func urls(addresses []core.Address) []string {
	var all []string
	for _, a := range addresses {
		if len(a.Paths) == 0 {
			all = append(all, a.Listen)
		}
		for _, path := range a.Paths {
			all = append(all, a.Listen+path)
		}
	}
	return all
}
