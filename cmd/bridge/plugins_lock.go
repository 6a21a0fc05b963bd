package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/registry"
)

func newPluginsLock(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "lock",
		Short: "Write the lock of the plugins that the routes name",
		Long: `Write plugins.lock anew, with the checksums that the plugins named by the routes
have now. From then on no other plugin file is executed, and none of these if it
changes. Adapters bundled with the bridge need no entry. Nothing is executed.

Commit the file. The names in it have no folder, so it serves on every machine
that has the same files; sha256sum --check reads it too.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := takeInventory(f)
			if err != nil {
				return err
			}
			lock, findings := v.newLock()
			if findings.Failed() {
				if err := printFindings(cmd.OutOrStdout(), findings, len(v.named), f.json); err != nil {
					return err
				}
				return exitError{exitFindings, errors.New("the lock was not written: it would leave out what these errors hide")}
			}
			if err := lock.Write(v.lock); err != nil {
				return err
			}
			return printLock(cmd, v.lock, lock, f.json)
		},
	}
}

// newLock takes the checksums of the files that routes name.
func (v *inventory) newLock() (registry.Lock, config.Findings) {
	lock := make(registry.Lock)
	findings := slices.Clone(v.findings)
	for _, n := range v.named {
		e, err := v.registry.Locate(n.adapter, n.plugin)
		if err == nil && !e.Bundled {
			lock[filepath.Base(e.Path)], err = registry.Checksum(e.Path)
		}
		if err != nil {
			findings = append(findings, n.fault(err))
		}
	}
	return lock, findings
}

func printLock(cmd *cobra.Command, path string, lock registry.Lock, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"lock": path, "plugins": lock})
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	for _, name := range slices.Sorted(maps.Keys(lock)) {
		fmt.Fprintf(table, "%s\t%s\n", name, lock[name])
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s locks %d plugins; commit it\n", path, len(lock))
	return err
}

func newPluginsCheck(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check the plugins that the routes name against the lock",
		Long: `Check that every plugin named by a route is there, that its group and others may
not write to it, and that it has the checksum of the lock, if there is a lock.
Nothing is executed. The exit code is 3 if something is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := takeInventory(f)
			if err != nil {
				return err
			}
			checked, findings := v.check()
			if f.json {
				if findings == nil {
					findings = config.Findings{}
				}
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{"lock": v.lock, "plugins": checked, "findings": findings})
			} else {
				err = printCheck(cmd, v.lock, checked, findings)
			}
			if err == nil && findings.Failed() {
				err = exitError{code: exitFindings}
			}
			return err
		},
	}
}

// check holds what the routes name against the lock. It returns how many files
// there were to check.
func (v *inventory) check() (files int, findings config.Findings) {
	findings = slices.Clone(v.findings)
	used := make(map[string]bool)
	for _, n := range v.named {
		e, err := v.registry.Find(n.adapter, n.plugin)
		var refused *registry.IntegrityError
		if errors.As(err, &refused) {
			e.Path = refused.Path
		}
		if err != nil {
			findings = append(findings, n.fault(err))
		}
		if e.Path != "" && !e.Bundled {
			used[filepath.Base(e.Path)] = true
		}
	}
	findings.Sort()
	remark := func(format string, args ...any) {
		findings = append(findings, config.Finding{File: v.lock, Severity: core.SeverityWarning, Message: fmt.Sprintf(format, args...)})
	}
	lock, err := registry.ReadLock(v.lock)
	if errors.Is(err, fs.ErrNotExist) && len(used) > 0 {
		remark("there is no lock, so checksums were not checked; `bridge plugins lock` writes one")
	}
	for _, name := range slices.Sorted(maps.Keys(lock)) {
		if !used[name] {
			remark("%s is locked, and no route names it; `bridge plugins lock` drops it", name)
		}
	}
	return len(used), findings
}

func printCheck(cmd *cobra.Command, lock string, files int, findings config.Findings) error {
	out := cmd.OutOrStdout()
	for _, finding := range findings {
		fmt.Fprintln(out, finding)
	}
	if len(findings) > 0 {
		return nil
	}
	_, err := fmt.Fprintf(out, "%d plugins checked against %s, nothing to say\n", files, lock)
	return err
}
