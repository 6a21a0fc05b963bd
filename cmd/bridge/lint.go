package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/route"
)

func newLint(f *flags) *cobra.Command {
	var noSecrets bool
	lint := &cobra.Command{
		Use:   "lint [PATH…]",
		Short: "Check route files without running them",
		Long: `Check the route files named, the files in the folders named, or those in the
folder of routes: their syntax, every key, what their adapters say of the
configuration, and whether two want one address. Plugins that the files name are
started to be asked; nothing listens and nothing is sent.

Findings are printed as FILE:LINE:COLUMN: SEVERITY: MESSAGE, all of them. The exit
code is 3 if one is an error.`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			return lint(cmd, f, paths, config.Environment{NoSecrets: noSecrets})
		},
	}
	lint.Flags().BoolVar(&noSecrets, "no-secrets", false, "do not look up ${env:…} and ${file:…}; for checks away from the machine that has them")
	return lint
}

func lint(cmd *cobra.Command, f *flags, paths []string, environment config.Environment) error {
	settings, err := readBridge(f)
	if err != nil {
		return err
	}
	if len(paths) == 0 {
		paths = []string{settings.ConfDir}
	}
	files, err := readPaths(paths, environment)
	if err != nil {
		return err
	}
	env, close, err := newEnvironment(settings, newLog(os.Stderr, config.Log{Level: "warn", Format: "text"}))
	if err != nil {
		return err
	}
	defer close()
	route.Lint(cmd.Context(), env, files)
	var findings config.Findings
	for _, file := range files {
		findings = append(findings, file.Findings...)
	}
	if err := printFindings(cmd.OutOrStdout(), findings, len(files), f.json); err != nil {
		return err
	}
	if findings.Failed() {
		return exitError{code: exitFindings}
	}
	return nil
}

// readPaths reads files, and the route files in folders.
func readPaths(paths []string, environment config.Environment) ([]*config.RouteFile, error) {
	var files []*config.RouteFile
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("lint: %w", err)
		}
		names := []string{path}
		if info.IsDir() {
			if names, err = config.RouteFiles(path); err != nil {
				return nil, err
			}
		}
		for _, name := range names {
			files = append(files, config.ReadRoute(name, environment))
		}
	}
	config.CheckTogether(files)
	return files, nil
}

func printFindings(out io.Writer, findings config.Findings, files int, asJSON bool) error {
	if asJSON {
		if findings == nil {
			findings = config.Findings{}
		}
		return json.NewEncoder(out).Encode(map[string]any{"files": files, "findings": findings})
	}
	for _, finding := range findings {
		fmt.Fprintln(out, finding)
	}
	if len(findings) == 0 {
		fmt.Fprintf(out, "%d files, nothing to say\n", files)
	}
	return nil
}
