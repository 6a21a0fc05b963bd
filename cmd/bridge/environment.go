package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pushbridge/bridge/core/admin"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/route"
	"github.com/pushbridge/bridge/core/sockets"
	"github.com/pushbridge/bridge/core/state"
)

// readBridge reads the settings of the bridge with what the flags say.
func readBridge(f *flags) (config.Bridge, error) {
	path, required := f.config, f.config != ""
	if path == "" {
		path = "bridge.yaml"
	}
	settings, findings := config.ReadBridge(path, required, config.Environment{})
	if findings.Failed() {
		return settings, exitError{exitFindings, fmt.Errorf("the settings cannot be used:\n%s", lines(findings))}
	}
	if f.confDir != "" {
		settings.ConfDir = f.confDir
	}
	return settings, nil
}

func lines(findings config.Findings) string {
	text := ""
	for _, finding := range findings {
		text += finding.String() + "\n"
	}
	return text
}

// newLog makes the logger that the settings ask for.
func newLog(to io.Writer, settings config.Log) *slog.Logger {
	options := &slog.HandlerOptions{}
	var level slog.Level
	if err := level.UnmarshalText([]byte(settings.Level)); err == nil {
		options.Level = level
	}
	if settings.Format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// newRegistry knows the plugins that the settings lead to, and holds them against
// the lock if there is one.
func newRegistry(settings config.Bridge) (*registry.Registry, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the bridge's own executable: %w", err)
	}
	folders := settings.PluginDirs
	if folders == nil {
		folders = []string{filepath.Join(filepath.Dir(self), "plugins")}
	}
	return registry.New(folders, self, bundled()).WithLock(settings.Lock()), nil
}

// newEnvironment makes what routes run in; close removes its folder.
func newEnvironment(settings config.Bridge, log *slog.Logger) (env route.Environment, close func(), err error) {
	plugins, err := newRegistry(settings)
	if err != nil {
		return env, nil, err
	}
	dir, err := route.NewRuntimeDir(admin.RuntimeDir(settings.RuntimeDir))
	if err != nil {
		return env, nil, err
	}
	env = route.Environment{
		Bus: bus.New(), Registry: plugins, Sockets: sockets.New(), Peers: peers.NewRegistry(), State: state.New(),
		ConfDir: settings.ConfDir, RuntimeDir: dir, Log: log,
		DrainTime: settings.DrainTime.Std(), Supervision: supervision(settings.Supervision),
	}
	return env, func() { _ = os.RemoveAll(dir) }, nil
}

func supervision(s config.Supervision) route.Supervision {
	return route.Supervision{
		FirstDelay: s.FirstDelay.Std(), MaxDelay: s.MaxDelay.Std(), Healthy: s.Healthy.Std(), GiveUp: s.GiveUp,
		RefuseAfter: s.RefuseAfter.Std(), StartTimeout: s.StartTimeout.Std(), CheckEvery: s.CheckEvery.Std(),
	}
}

// newClient talks to the bridge that serves the folder of routes.
func newClient(f *flags) (*admin.Client, error) {
	settings, err := readBridge(f)
	if err != nil {
		return nil, err
	}
	path, err := admin.ControlPath(admin.RuntimeDir(settings.RuntimeDir), settings.ConfDir)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(path, settings.ConfDir), nil
}
