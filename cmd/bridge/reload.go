package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/route"
)

func newReload(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make a running bridge look for changes now",
		Long: `Make the bridge that serves the folder of routes look at it now, wait until what
has changed has taken effect, and print what came of each route. The bridge looks
by itself every moment; this is for scripts that must know.

A file with errors changes nothing: what ran before goes on. The exit code is 1 if
a file was refused, now or at an earlier look.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := newClient(f)
			if err != nil {
				return err
			}
			before, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			after, err := client.Reload(cmd.Context())
			if err != nil {
				return err
			}
			outcomes := compare(before.Routes, after.Routes)
			if err := printOutcomes(cmd.OutOrStdout(), outcomes, f.json); err != nil {
				return err
			}
			if slices.ContainsFunc(outcomes, func(o outcome) bool { return o.Outcome == refused }) {
				return exitError{code: exitFailed}
			}
			return nil
		},
	}
}

// What can come of a route.
const (
	started   = "started"
	changed   = "changed"
	unchanged = "unchanged"
	removed   = "removed"
	refused   = "refused"
)

// outcome is what came of a route in a reload.
type outcome struct {
	Route      string `json:"route"`
	File       string `json:"file"`
	Outcome    string `json:"outcome"`
	How        string `json:"how,omitempty"`
	Generation int    `json:"generation,omitempty"`
	// Problems say why it was refused.
	Problems []string `json:"problems,omitempty"`
}

// compare tells from the states before and after what came of each route, in
// order of the states after; those that are gone come last.
func compare(before, after []route.Status) []outcome {
	find := func(all []route.Status, file string) *route.Status {
		if at := slices.IndexFunc(all, func(s route.Status) bool { return s.File == file }); at >= 0 {
			return &all[at]
		}
		return nil
	}
	outcomes := []outcome{}
	for _, now := range after {
		o := outcome{Route: now.Route, File: now.File, Generation: now.Generation, Outcome: unchanged}
		was := find(before, now.File)
		switch {
		case isRefused(now):
			o.Outcome, o.Problems = refused, refusal(now)
		case was == nil:
			o.Outcome = started
		case now.Reload != nil && (was.Reload == nil || !now.Reload.Time.Equal(was.Reload.Time)):
			o.Outcome, o.How = changed, now.Reload.How
		}
		outcomes = append(outcomes, o)
	}
	for _, was := range before {
		if find(after, was.File) == nil {
			outcomes = append(outcomes, outcome{Route: was.Route, File: was.File, Outcome: removed})
		}
	}
	return outcomes
}

// isRefused reports whether a route does not run what its file says.
func isRefused(s route.Status) bool {
	return s.Findings.Failed() || s.Reload != nil && !s.Reload.OK
}

// refusal says why: the errors in the file, or what its adapters said.
func refusal(s route.Status) []string {
	var all []string
	for _, finding := range s.Findings {
		if finding.Severity == core.SeverityError {
			all = append(all, finding.String())
		}
	}
	if all == nil && s.Reload != nil {
		all = append(all, s.Reload.Error)
	}
	return all
}

func printOutcomes(out io.Writer, outcomes []outcome, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(map[string]any{"routes": outcomes})
	}
	if len(outcomes) == 0 {
		_, err := fmt.Fprintln(out, "there are no routes")
		return err
	}
	var table []statusLine
	for _, o := range outcomes {
		line := statusLine{cells: []string{o.Route, o.Outcome, o.How}}
		if o.Outcome == refused {
			line.cells[2] = "nothing of it runs"
			if o.Generation > 0 {
				line.cells[2] = fmt.Sprintf("generation %d goes on", o.Generation)
			}
			line.below = o.Problems
		}
		table = append(table, line)
	}
	return printLines(out, table)
}
