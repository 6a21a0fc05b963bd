package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/route"
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

// newEnvironment makes what routes run in; close removes its folder.
func newEnvironment(settings config.Bridge, log *slog.Logger) (env route.Environment, close func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return env, nil, fmt.Errorf("find the bridge's own executable: %w", err)
	}
	folders := settings.PluginDirs
	if folders == nil {
		folders = []string{filepath.Join(filepath.Dir(self), "plugins")}
	}
	dir, err := route.NewRuntimeDir(settings.RuntimeDir)
	if err != nil {
		return env, nil, err
	}
	env = route.Environment{
		Bus: bus.New(), Registry: registry.New(folders, self, bundled()), RuntimeDir: dir, Log: log,
	}
	return env, func() { _ = os.RemoveAll(dir) }, nil
}
