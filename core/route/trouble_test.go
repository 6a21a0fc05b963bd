package route

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestStopWhileAllHangs stops routes of which none ever returns from a call: in
// processes, and in this one.
func TestStopWhileAllHangs(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "events")
	var files, busy []string
	for _, isolation := range []string{"process", "none"} {
		for _, call := range []string{"validate", "open", "start", "check", "deliver", "drain", "stop"} {
			if isolation == "none" && call == "validate" {
				continue // offline: the bridge trusts those that it contains
			}
			address := freeAddress(t)
			content := written(address, file, "", "hang: "+call)
			if isolation == "none" {
				content = strings.NewReplacer("process: in", "isolation: none", "process: out", "isolation: none").Replace(content)
			}
			files = append(files, call+"-"+isolation+".yaml", content)
			if call == "deliver" {
				busy = append(busy, address)
			}
		}
	}
	f := serve(t, func(env *Environment) {
		env.Supervision.StartTimeout = 3 * time.Second
		env.Supervision.FirstDelay = time.Millisecond
	}, files...)
	var posting sync.WaitGroup
	for _, address := range busy {
		posting.Go(func() { _, _ = post(address, "/", "x") })
	}
	for _, call := range []string{"deliver-process", "deliver-none"} {
		f.becomes(call, "busy", func(s Status) bool { return s.State == StateDegraded || s.Edges[0].Queued > 0 })
	}
	f.stopTime = time.Second
	f.stop()
	posting.Wait()
	if _, err := f.routes.Restart(t.Context(), "probe"); err == nil {
		t.Error("what has been stopped was restarted")
	}
}

// TestStopDuringStart leaves nothing behind when the bridge is told to end while
// it begins.
func TestStopDuringStart(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	f := prepare(t, nil, "a.yaml", written(address, filepath.Join(t.TempDir(), "events"), "", "hang: start"))
	var starting sync.WaitGroup
	starting.Go(f.start)
	f.becomes("a", "opening", func(s Status) bool { return s.State == StateOpening })
	f.stopTime = time.Second
	f.stop()
	starting.Wait()
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("the address is still open")
	}
	if s := f.status("a"); len(s.Instances) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestRemovedDuringChange takes the file away while its change hangs.
func TestRemovedDuringChange(t *testing.T) {
	t.Parallel()
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
	f := serve(t, func(env *Environment) { env.Supervision.StartTimeout = 3 * time.Second }, "a.yaml", written(address, file, "", ""))
	f.ready("a")
	f.write("a.yaml", written(address, file, "", "hang: start"))
	f.routes.rescan(false)
	f.remove("a.yaml")
	f.routes.rescan(false)
	f.write("a.yaml", written(address, file, "value: back", "")) // it waits for the address
	f.routes.rescan(false)
	f.becomes("a", "back", func(s Status) bool { return s.State == StateReady && s.Generation == 1 })
	if answer := f.mustPost(address, "x"); !strings.HasSuffix(answer, " back") {
		t.Errorf("answer %q", answer)
	}
}

// TestRestartDuringChange asks for a restart while a file changes; neither undoes
// the other.
func TestRestartDuringChange(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "", "")
	before := o.ready("a")
	o.write("a.yaml", written(o.address, o.file, "value: changed", ""))
	o.routes.rescan(false)
	if _, err := o.routes.Restart(t.Context(), "probe"); err != nil {
		t.Error(err)
	}
	s := o.alone("a")
	for name, pid := range pids(before) {
		if pids(s)[name] == pid {
			t.Errorf("%s was not restarted", name)
		}
	}
	if answer := o.mustPost(o.address, "x"); !strings.HasSuffix(answer, " changed") {
		t.Errorf("answer %q", answer)
	}
}

// TestDeathDuringChange has the process die while it is asked about a new file:
// the change takes effect all the same.
func TestDeathDuringChange(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "", "")
	o.ready("a")
	if s := o.rewrite("", fmt.Sprintf("value: new-, crash: validate, once: %q", filepath.Join(t.TempDir(), "mark"))); s.Reload.OK && s.Generation == 1 {
		t.Errorf("%+v %+v", s, s.Reload)
	}
	o.becomes("a", "changed", generation(2))
	o.mustPost(o.address, "x")
	if got := received(t, o.file); !slices.Equal(got, []string{"new-x"}) {
		t.Errorf("received %q", got)
	}
}

// TestNoWayBack wants an instance that took a new configuration, and does not give
// it back when the change fails elsewhere, to have the old one all the same.
func TestNoWayBack(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "value: old", "")
	o.ready("a")
	if s := o.rewrite("value: final", "fail: reconfigure"); s.Reload.OK {
		t.Errorf("%+v", s.Reload)
	}
	o.becomes("a", "restarted", func(s Status) bool { return s.State == StateReady && s.Instances[0].Restarts == 1 })
	if answer := o.mustPost(o.address, "x"); !strings.HasSuffix(answer, " old") {
		t.Errorf("answer %q", answer)
	}
}

// TestFailedChangeLosesNothing has a change of an edge fail because another source
// does not start: what is published meanwhile goes the old way.
func TestFailedChangeLosesNothing(t *testing.T) {
	t.Parallel()
	first, second, file := freeAddress(t), freeAddress(t), filepath.Join(t.TempDir(), "events")
	route := func(source, edge string) string {
		return fmt.Sprintf(`
inbound:
- { adapter: probe, name: first, process: first, config: { listen: %q } }
- { adapter: probe, name: second, process: second, config: { listen: %q, %s } }
outbound: { adapter: probe, name: out, process: out, %s config: { file: %q } }
`, first, second, source, edge, file)
	}
	f := serve(t, func(env *Environment) { env.Supervision.StartTimeout = 3 * time.Second }, "a.yaml", route("", ""))
	f.ready("a")
	f.write("a.yaml", route("hang: start", `set: { data: '"changed"' },`))
	reloaded := make(chan Status)
	go func() { reloaded <- f.reload("a") }()
	posted := 0
	for done := false; !done; posted++ {
		select {
		case s := <-reloaded:
			done = true
			if s.Reload.OK {
				t.Errorf("%+v", s.Reload)
			}
		default:
		}
		f.mustPost(first, "x")
	}
	if got := received(t, file); len(got) != posted || slices.Contains(got, "changed") {
		t.Errorf("received %d of %d: %q", len(got), posted, got)
	}
}

// TestEdgeDoesNotWaitForDrain changes an edge together with a source that never
// has sent its listeners away.
func TestEdgeDoesNotWaitForDrain(t *testing.T) {
	t.Parallel()
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
	f := serve(t, func(env *Environment) { env.DrainTime = time.Hour }, "a.yaml", written(address, file, "hang: drain", ""))
	f.stopTime = time.Second
	f.ready("a")
	for n := range maxDrains + 1 { // the last change waits for a drain to end, events do not
		f.write("a.yaml", edged(written(address, file, fmt.Sprintf("hang: drain, fixed: f%d", n), ""), fmt.Sprintf(`set: { data: '"edge%d"' }`, n)))
		f.routes.rescan(false)
		f.becomes("a", "changed", func(Status) bool {
			f.mustPost(address, "x")
			got := received(t, file)
			return got[len(got)-1] == fmt.Sprint("edge", n)
		})
	}
}

// TestUse follows events to an instance of another file through its life: one that
// stands in outbound, and one in inbound whose file has no outbound.
func TestUse(t *testing.T) {
	for what, owner := range map[string]string{
		"outbound": `
inbound: { adapter: probe, name: other, config: {} }
outbound: { adapter: probe, name: shared, process: shared, config: { file: %q, %s } }`,
		"inbound": `inbound: { adapter: probe, name: shared, config: { file: %q, %s } }`,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
			f := serve(t, nil, "a.yaml", fmt.Sprintf(`
inbound: { adapter: probe, name: in, config: { listen: %q } }
outbound: { use: shared }`, address))
			refused := func(want string) {
				t.Helper()
				if answer, err := post(address, "/", "nobody"); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("answer %q, %v; want %q", answer, err, want)
				}
			}
			own := func(keys string) Status {
				f.write("b.yaml", fmt.Sprintf(owner, file, keys))
				f.reload("b")
				return f.ready("b")
			}
			refused("no instance")
			s := own("")
			f.mustPost(address, "1")
			kill(t, pids(s)["shared"])
			f.becomes("b", "restarted", func(s Status) bool { return restarts(s)["shared"] == 1 && s.State == StateReady })
			f.mustPost(address, "2")
			own("fixed: f")
			f.alone("b")
			f.mustPost(address, "3")
			f.remove("b.yaml")
			f.reload("b")
			refused("was removed")
			own("")
			f.mustPost(address, "4")
			if got := received(t, file); !slices.Equal(got, []string{"1", "2", "3", "4"}) {
				t.Errorf("received %q", got)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "", "")
	o.ready("a")
	o.mustPost(o.address, "x")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	page := string(o.routes.Metrics(ctx))
	for instance, count := range map[string]int{"in": 1, "out": 0} {
		if want := fmt.Sprintf("probe_published_total{instance=%q} %d\n", instance+"-"+named(o.address), count); !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}
