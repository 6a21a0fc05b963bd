package route

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pair is a route from a probe that listens to one that writes; each in a process
// of its own. extra stands in the one's configuration and the other's.
func pair(address, file, source, sink string) string {
	return fmt.Sprintf(`
inbound: { adapter: probe, name: in-%[1]s, process: in, config: { listen: "%[1]s", %[3]s } }
outbound: { adapter: probe, name: out-%[1]s, process: out, config: { file: "%[2]s", %[4]s } }
`, address, file, source, sink)
}

// edged is the same with keys of the edge.
func edged(route, keys string) string {
	return strings.Replace(route, "process: out,", "process: out, "+keys+",", 1)
}

func named(address string) string { return strings.ReplaceAll(address, ":", "-") }

type one struct {
	*folder
	address, file string
}

// serveOne runs one pair, a.yaml.
func serveOne(t *testing.T, source, sink string) one {
	t.Helper()
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
	return one{serve(t, nil, "a.yaml", written(address, file, source, sink)), address, file}
}

func written(address, file, source, sink string) string {
	return strings.ReplaceAll(pair(address, file, source, sink), "-"+address, "-"+named(address))
}

func (o one) rewrite(source, sink string) Status {
	o.t.Helper()
	o.write("a.yaml", written(o.address, o.file, source, sink))
	return o.reload("a")
}

func TestCarries(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "", "")
	s := o.ready("a")
	o.mustPost(o.address, "x")
	if got := received(t, o.file); !slices.Equal(got, []string{"x"}) {
		t.Errorf("received %q", got)
	}
	if len(s.Instances) != 2 || s.Instances[0].Pid == s.Instances[1].Pid || s.Instances[0].Addresses[0].Listen != o.address || s.Generation != 1 {
		t.Errorf("%+v", s)
	}
}

// TestDeath has both processes die in turn: clients and events wait for the next.
func TestDeath(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "", "")
	before := o.ready("a")
	for n := range 3 {
		if _, err := post(o.address, "/crash", ""); err == nil {
			t.Error("a crash was answered")
		}
		o.mustPost(o.address, fmt.Sprint("after", n)) // waits in the socket
	}
	kill(t, before.Instances[1].Pid)
	o.becomes("a", "restarted", func(s Status) bool { return s.Instances[1].Restarts == 1 && s.State == StateReady })
	o.mustPost(o.address, "last")
	if got := received(t, o.file); !slices.Equal(got, []string{"after0", "after1", "after2", "last"}) {
		t.Errorf("received %q", got)
	}
	if s := o.status("a"); s.Instances[0].Restarts != 3 || s.Instances[0].Pid == before.Instances[0].Pid || s.Generation != 1 {
		t.Errorf("%+v", s)
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	process, err := os.FindProcess(pid)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestCrashLoop wants a route given up that never comes up, with its reason, its
// connections refused, and life again once its file is mended.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	o := serveOne(t, `crash: start`, "")
	s := o.becomes("a", "failed", func(s Status) bool { return s.State == StateFailed })
	if i := s.Instances[0]; i.Restarts != 4 || !strings.Contains(i.Problem, "the probe crashes in start") || !strings.Contains(i.Problem, "given up") {
		t.Errorf("%+v", i)
	}
	if s.Instances[1].State != StateReady {
		t.Errorf("the other instance is %+v", s.Instances[1])
	}
	conn, err := net.DialTimeout("tcp", o.address, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a connection to a failed route reads %v", err)
	}
	sink := pids(s)["out-"+named(o.address)]
	o.rewrite("", "")
	if s := o.ready("a"); pids(s)["out-"+named(o.address)] != sink {
		t.Errorf("mended: %+v", s)
	}
	o.mustPost(o.address, "x")
}

// TestHang has every call hang: each is bounded, named, and no matter of another
// route's.
func TestHang(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"validate", "open", "start", "check", "deliver", "drain", "stop"} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			other, address := freeAddress(t), freeAddress(t)
			file := filepath.Join(t.TempDir(), "events")
			f := serve(t, func(env *Environment) { env.Supervision.StartTimeout = 3 * time.Second },
				"a.yaml", written(address, file, "", "hang: "+call), "b.yaml", written(other, file, "", ""))
			f.ready("b")
			f.mustPost(other, "b")
			switch call {
			case "validate": // nothing runs yet that could have an instance
				f.becomes("a", "backing off", func(s Status) bool {
					return s.State == StateBackingOff && strings.Contains(s.Problem, call)
				})
			case "open", "start":
				f.becomes("a", "backing off", func(s Status) bool {
					return s.State == StateBackingOff && strings.Contains(s.Instances[1].Problem, call)
				})
			case "check":
				f.becomes("a", "restarted", func(s Status) bool { return s.Instances[1].Restarts > 0 })
			case "deliver":
				answered := make(chan error, 1)
				go func() {
					_, err := post(address, "/", "x")
					answered <- err
				}()
				s := f.becomes("a", "degraded", func(s Status) bool { return s.State == StateDegraded })
				if !strings.Contains(s.Instances[1].Problem, "answers none of the 1 events") {
					t.Errorf("%+v", s.Instances[1])
				}
				defer func() { <-answered }()
			case "drain", "stop":
				f.ready("a")
			}
			f.write("a.yaml", written(address, file, "", ""))
			f.reload("a")
			f.ready("a")
			f.mustPost(address, "a")
			f.alone("a")
			f.mustPost(other, "b")
		})
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	o := serveOne(t, "", "")
	before := o.ready("a")

	t.Run("nothing changed", func(t *testing.T) {
		if s := o.rewrite("", ""); !cmp.Equal(pids(s), pids(before)) || s.Generation != 1 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("an edge", func(t *testing.T) {
		o.write("a.yaml", edged(written(o.address, o.file, "", ""), `set: { data: '"edge"' }`))
		s := o.reload("a")
		if !cmp.Equal(pids(s), pids(before)) || s.Generation != 2 || s.Reload.How != "edges" {
			t.Errorf("%+v %+v", s, s.Reload)
		}
		o.mustPost(o.address, "x")
		if got := received(t, o.file); got[len(got)-1] != "edge" {
			t.Errorf("received %q", got)
		}
	})
	t.Run("in place", func(t *testing.T) {
		s := o.rewrite(`value: changed`, "")
		if !cmp.Equal(pids(s), pids(before)) || s.Generation != 3 || !strings.Contains(s.Reload.How, "reconfigured in-") {
			t.Errorf("%+v %+v", s, s.Reload)
		}
		if answer := o.mustPost(o.address, "x"); !strings.HasSuffix(answer, " changed") {
			t.Errorf("answer %q", answer)
		}
	})
	t.Run("with a new generation", func(t *testing.T) {
		s := o.rewrite(`value: changed`, `fixed: x, value: new-`)
		if pids(s)["in-"+named(o.address)] != pids(before)["in-"+named(o.address)] || pids(s)["out-"+named(o.address)] == pids(before)["out-"+named(o.address)] ||
			!strings.Contains(s.Reload.How, "replaced out-") {
			t.Errorf("%+v %+v", s, s.Reload)
		}
		o.alone("a")
		o.mustPost(o.address, "y")
		if got := received(t, o.file); got[len(got)-1] != "new-y" {
			t.Errorf("received %q", got)
		}
	})
	t.Run("refused", func(t *testing.T) {
		before := o.status("a")
		for what, content := range map[string]string{
			"syntax":          "inbound: [",
			"unknown key":     strings.Replace(written(o.address, o.file, "", ""), "config: { f", "config: { nonsense: 1, f", 1),
			"fails to open":   written(o.address, o.file, "value: changed", "fail: open"),
			"fails to start":  written(o.address, o.file, "value: changed", "fail: start"),
			"dies in start":   written(o.address, o.file, "value: changed", "crash: start"),
			"source is worse": written(o.address, o.file, "fail: start", "fixed: z"),
			"in place fails":  written(o.address, o.file, "fail: reconfigure", "fixed: x, value: new-"),
		} {
			o.write("a.yaml", content)
			s := o.reload("a")
			if !cmp.Equal(pids(s), pids(before)) || s.Generation != before.Generation || s.State != StateReady || s.Reload.OK || s.Reload.Error == "" {
				t.Errorf("%s: %+v %+v", what, s, s.Reload)
			}
			o.mustPost(o.address, "z")
			if got := received(t, o.file); got[len(got)-1] != "new-z" {
				t.Errorf("%s: received %q", what, got)
			}
		}
	})
	t.Run("removed", func(t *testing.T) {
		if err := os.Remove(filepath.Join(o.dir, "a.yaml")); err != nil {
			t.Fatal(err)
		}
		if s := o.reload("a"); s.State != "" {
			t.Errorf("%+v", s)
		}
		if _, err := net.Dial("tcp", o.address); err == nil {
			t.Error("the address is still open")
		}
	})
}

// TestAddresses has two routes want one address: the earlier has it, the later
// takes it over as soon as it is free.
func TestAddresses(t *testing.T) {
	t.Parallel()
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
	second := strings.ReplaceAll(written(address, file, "value: second", ""), "name: ", "name: second-")
	f := serve(t, nil, "a.yaml", written(address, file, "value: first", ""), "b.yaml", second)
	if answer := f.mustPost(address, "x"); !strings.HasSuffix(answer, "first") {
		t.Errorf("answer %q", answer)
	}
	s := f.status("b")
	if s.State != StateFailed || len(s.Findings) != 1 || !strings.Contains(s.Findings[0].Message, "a.yaml") {
		t.Fatalf("%+v", s)
	}
	if err := os.Remove(filepath.Join(f.dir, "a.yaml")); err != nil {
		t.Fatal(err)
	}
	f.reload("a")
	f.ready("b")
	if answer := f.mustPost(address, "x"); !strings.HasSuffix(answer, "second") {
		t.Errorf("answer %q", answer)
	}
}

// TestTakenPort wants a route whose port another program has to come up once that
// is gone.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := taken.Addr().String()
	f := serve(t, func(env *Environment) { env.Supervision.GiveUp = 1000 }, "a.yaml", written(address, filepath.Join(t.TempDir(), "events"), "", ""))
	s := f.becomes("a", "backing off", func(s Status) bool { return s.State == StateBackingOff })
	if !strings.Contains(s.Instances[0].Problem, "address already in use") {
		t.Errorf("%+v", s.Instances[0])
	}
	taken.Close()
	f.ready("a")
	f.mustPost(address, "x")
}

// TestWithoutIsolation runs the same in this process.
func TestWithoutIsolation(t *testing.T) {
	t.Parallel()
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
	inside := func(source, sink string) string {
		content := written(address, file, source, sink)
		return strings.NewReplacer("process: in", "isolation: none", "process: out", "isolation: none").Replace(content)
	}
	f := serve(t, nil, "a.yaml", inside("", ""))
	f.ready("a")
	f.mustPost(address, "x")
	f.write("a.yaml", inside("value: v", "value: v"))
	if s := f.reload("a"); s.Generation != 2 || !strings.Contains(s.Reload.How, "reconfigured") {
		t.Errorf("%+v %+v", s, s.Reload)
	}
	f.mustPost(address, "y")
	f.write("a.yaml", inside("fixed: f", "fixed: f, value: w"))
	if s := f.reload("a"); s.Generation != 3 || !strings.Contains(s.Reload.How, "replaced") {
		t.Errorf("%+v %+v", s, s.Reload)
	}
	f.alone("a")
	f.mustPost(address, "z")
	if got := received(t, file); !slices.Equal(got, []string{"x", "vy", "wz"}) {
		t.Errorf("received %q", got)
	}
}
