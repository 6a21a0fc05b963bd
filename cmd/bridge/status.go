package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/pushbridge/bridge/core/admin"
	"github.com/pushbridge/bridge/core/route"
)

func newStatus(f *flags) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show what a running bridge does, and how well",
		Long: `Ask the bridge that serves the folder of routes, on this computer and as this
user, for the state of every route: its generation (how many changes of its file
took effect), the processes of its instances, their restarts and listeners, and
what became of events. What is wrong stands below a route.

  <-  a source        ->  a sink        <>  both

A route is opening, ready, degraded (at work, but not all is well), backing off
(its process failed and is started again in a while), failed, draining or stopped.
For a program that watches, bridge.yaml can give an address to /readyz and
/metrics: the key admin.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := newClient(f)
			if err != nil {
				return err
			}
			report, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			if f.json {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(report)
			}
			return printStatus(cmd.OutOrStdout(), report)
		},
	}
}

// statusLine is a line of the table, and what stands below it.
type statusLine struct {
	cells []string
	below []string
}

func printStatus(out io.Writer, report admin.Report) error {
	b := report.Bridge
	fmt.Fprintf(out, "bridge %s (pid %d) serves %s since %s\n", b.Version, b.Pid, b.ConfDir, b.Started.Local().Format(time.DateTime))
	if len(report.Routes) == 0 {
		_, err := fmt.Fprintf(out, "there are no routes: put a file into %s\n", b.ConfDir)
		return err
	}
	lines := []statusLine{{cells: []string{"ROUTE", "STATE", "GEN", "INSTANCE", "PID", "RESTARTS", "LISTENERS", "EVENTS"}}}
	for _, s := range report.Routes {
		lines = append(lines, routeLines(s)...)
	}
	return printLines(out, lines)
}

// printLines aligns the cells; what stands below a line does not widen them.
func printLines(out io.Writer, lines []statusLine) error {
	var aligned bytes.Buffer
	table := tabwriter.NewWriter(&aligned, 0, 8, 2, ' ', 0)
	for _, line := range lines {
		fmt.Fprintln(table, strings.Join(line.cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, line := range lines {
		text, err := aligned.ReadString('\n')
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, strings.TrimRight(text, " \n")); err != nil {
			return err
		}
		for _, below := range line.below {
			fmt.Fprintf(out, "    %s\n", strings.ReplaceAll(below, "\n", "\n    "))
		}
	}
	return nil
}

// routeLines are a route's instances, and its edges to those of other files. The
// route itself stands before the first.
func routeLines(s route.Status) []statusLine {
	var lines []statusLine
	add := func(instance, pid, restarts, listeners, events string) {
		first := []string{"", "", ""}
		if len(lines) == 0 {
			first = []string{s.Route, string(s.State), strconv.Itoa(s.Generation)}
		}
		lines = append(lines, statusLine{cells: append(first, instance, pid, restarts, listeners, events)})
	}
	var own []string
	for _, i := range s.Instances {
		own = append(own, i.Name)
		pid, listeners := "", ""
		if i.Pid > 0 {
			pid = strconv.Itoa(i.Pid)
		}
		if i.Listeners != nil {
			listeners = strconv.Itoa(*i.Listeners)
		}
		add(arrow(i)+" "+i.Name, pid, strconv.Itoa(i.Restarts), listeners, events(s.Edges, i.Name))
	}
	for _, e := range s.Edges {
		if !slices.Contains(own, e.Target) {
			own = append(own, e.Target)
			add("-> "+e.Target+" (of another file)", "", "", "", events(s.Edges, e.Target))
		}
	}
	if len(lines) == 0 {
		add("", "", "", "", "")
	}
	lines[len(lines)-1].below = problems(s)
	return lines
}

func arrow(i route.InstanceStatus) string {
	switch {
	case i.Source && i.Sink:
		return "<>"
	case i.Source:
		return "<-"
	}
	return "->"
}

// events says what became of the events for a target.
func events(edges []route.EdgeStatus, target string) string {
	var sum route.EdgeStatus
	found := false
	for _, e := range edges {
		if e.Target == target {
			found = true
			sum.Waiting += e.Waiting
			sum.Delivered += e.Delivered
			sum.Refused += e.Refused
			sum.Dropped += e.Dropped
		}
	}
	if !found {
		return ""
	}
	text := fmt.Sprintf("%d delivered", sum.Delivered)
	for _, more := range []struct {
		count uint64
		what  string
	}{{uint64(sum.Waiting), "waiting"}, {sum.Refused, "refused"}, {sum.Dropped, "of them dropped"}} {
		if more.count > 0 {
			text += fmt.Sprintf(", %d %s", more.count, more.what)
		}
	}
	return text
}

// problems is everything that is not as it should be, each once.
func problems(s route.Status) []string {
	var all []string
	add := func(text string) {
		text = strings.TrimSpace(text)
		known := slices.ContainsFunc(all, func(other string) bool { return strings.Contains(other, text) })
		if text != "" && !known {
			all = append(all, text)
		}
	}
	if s.Reload != nil && !s.Reload.OK {
		goesOn := ""
		if s.Generation > 0 {
			goesOn = fmt.Sprintf("; generation %d goes on", s.Generation)
		}
		add(fmt.Sprintf("the change of %s was refused%s:\n%s", s.Reload.Time.Local().Format(time.DateTime), goesOn, s.Reload.Error))
	}
	add(s.Problem)
	for _, finding := range s.Findings {
		add(finding.String())
	}
	for _, i := range s.Instances {
		switch {
		case i.Problem != "":
			add(fmt.Sprintf("%s is %s: %s", i.Name, i.State, i.Problem))
		case i.State != route.StateReady && i.State != s.State:
			add(fmt.Sprintf("%s is %s", i.Name, i.State))
		}
	}
	if s.Draining > 0 {
		add(fmt.Sprintf("%d processes of earlier generations send their listeners away", s.Draining))
	}
	return all
}
