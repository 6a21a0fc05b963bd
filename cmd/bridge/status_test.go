package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/admin"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/route"
)

func TestPrintStatus(t *testing.T) {
	listeners := 12
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.Local)
	var out strings.Builder
	err := printStatus(&out, admin.Report{
		Bridge: admin.Bridge{Version: "v1", Pid: 7, ConfDir: "conf.d", Started: at},
		Routes: []route.Status{
			{
				Route: "chat", State: route.StateBackingOff, Generation: 3, Draining: 2,
				Reload:   &route.ReloadStatus{Time: at, Error: "the file has errors"},
				Findings: config.Findings{{File: "chat.yaml", Line: 1, Column: 2, Message: "no", Severity: core.SeverityError}},
				Instances: []route.InstanceStatus{
					{Name: "chat.in", Source: true, State: route.StateOpening, Pid: 70},
					{Name: "chat.both", Source: true, Sink: true, State: route.StateBackingOff, Problem: "killed\nit printed: x", Restarts: 4, Listeners: &listeners},
				},
				Edges: []route.EdgeStatus{
					{Target: "chat.both", Delivered: 5, Refused: 3, Dropped: 1, Waiting: 2},
					{Target: "chat.both", Delivered: 5},
					{Target: "far", Delivered: 1},
				},
			},
			{Route: "bad", State: route.StateFailed, Problem: "the file has errors", Reload: &route.ReloadStatus{Time: at, Error: "the file has errors"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `bridge v1 (pid 7) serves conf.d since 2026-05-04 03:02:01
ROUTE  STATE        GEN  INSTANCE                  PID  RESTARTS  LISTENERS  EVENTS
chat   backing off  3    <- chat.in                70   0
                         <> chat.both                   4         12         10 delivered, 2 waiting, 3 refused, 1 of them dropped
                         -> far (of another file)                            1 delivered
    the change of 2026-05-04 03:02:01 was refused; generation 3 goes on:
    the file has errors
    chat.yaml:1:2: error: no
    chat.in is opening
    chat.both is backing off: killed
    it printed: x
    2 processes of earlier generations send their listeners away
bad    failed       0
    the change of 2026-05-04 03:02:01 was refused:
    the file has errors
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := printStatus(&out, admin.Report{Bridge: admin.Bridge{ConfDir: "conf.d"}}); err != nil || !strings.Contains(out.String(), "put a file into conf.d") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestCompare(t *testing.T) {
	earlier := &route.ReloadStatus{Time: time.Unix(1, 0), OK: true}
	later := &route.ReloadStatus{Time: time.Unix(2, 0), OK: true, How: "edges"}
	failed := &route.ReloadStatus{Time: time.Unix(2, 0), Error: "no such plugin"}
	before := []route.Status{
		{Route: "same", File: "same", Reload: earlier}, {Route: "changed", File: "changed", Reload: earlier},
		{Route: "gone", File: "gone"}, {Route: "bad", File: "bad", Generation: 4}, {Route: "worse", File: "worse"},
	}
	after := []route.Status{
		{Route: "same", File: "same", Reload: earlier}, {Route: "changed", File: "changed", Reload: later, Generation: 2},
		{Route: "bad", File: "bad", Reload: failed, Generation: 4},
		{Route: "worse", File: "worse", Findings: config.Findings{
			{File: "worse", Severity: core.SeverityWarning, Message: "hm"}, {File: "worse", Severity: core.SeverityError, Message: "no"},
		}},
		{Route: "new", File: "new", Generation: 1, Reload: later},
	}
	want := []outcome{
		{Route: "same", File: "same", Outcome: unchanged},
		{Route: "changed", File: "changed", Outcome: changed, How: "edges", Generation: 2},
		{Route: "bad", File: "bad", Outcome: refused, Generation: 4, Problems: []string{"no such plugin"}},
		{Route: "worse", File: "worse", Outcome: refused, Problems: []string{"worse: error: no"}},
		{Route: "new", File: "new", Outcome: started, Generation: 1},
		{Route: "gone", File: "gone", Outcome: removed},
	}
	if diff := cmp.Diff(want, compare(before, after)); diff != "" {
		t.Error(diff)
	}
}

// The shipped bridge.yaml can be used, says of everything that is commented out
// what holds without it, and turns on nothing but the admin address.
func TestShippedSettings(t *testing.T) {
	shipped := filepath.Join("..", "..", "bridge.yaml")
	settings, findings := config.ReadBridge(shipped, true, config.Environment{})
	if findings != nil {
		t.Fatal(findings)
	}
	if settings.Admin != "127.0.0.1:7070" {
		t.Errorf("admin is %q", settings.Admin)
	}
	if diff := cmp.Diff(route.DefaultSupervision(), supervision(settings.Supervision)); diff != "" {
		t.Error(diff)
	}
	text, err := os.ReadFile(shipped)
	if err != nil {
		t.Fatal(err)
	}
	all := filepath.Join(t.TempDir(), "bridge.yaml")
	plain := uncomment(string(text))
	if !strings.Contains(string(plain), "\n  check_every: 5s") {
		t.Errorf("nothing is uncommented:\n%s", plain)
	}
	if err := os.WriteFile(all, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	written, findings := config.ReadBridge(all, true, config.Environment{})
	if findings != nil {
		t.Fatal(findings)
	}
	if diff := cmp.Diff(settings.Supervision, written.Supervision); diff != "" {
		t.Error(diff)
	}
	if written.Log != settings.Log || written.DrainTime != settings.DrainTime || written.DrainTimeout != settings.DrainTimeout {
		t.Errorf("%+v is not %+v", written, settings)
	}
	if written.Node == "" || written.PluginDirs == nil || written.PluginsLock == "" || written.RuntimeDir == "" {
		t.Errorf("keys are missing: %+v", written)
	}
}

// uncomment turns the comments that are keys into keys.
func uncomment(text string) []byte {
	var out strings.Builder
	for line := range strings.Lines(text) {
		bare := strings.TrimPrefix(line, "# ")
		key, _, isKey := strings.Cut(bare, ":")
		if isKey && !strings.Contains(strings.TrimSpace(key), " ") && !strings.HasPrefix(key, "#") {
			line = bare
		}
		out.WriteString(line)
	}
	return []byte(out.String())
}
