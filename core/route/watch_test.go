package route

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/registry"
)

// watched runs a pair whose folder is watched.
func watched(t *testing.T) (o one, hangup chan os.Signal) {
	t.Helper()
	o = serveOne(t, "", "")
	hangup = make(chan os.Signal)
	o.watch(hangup)
	o.ready("a")
	return o, hangup
}

func (f *folder) watch(hangup chan os.Signal) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() { f.routes.Watch(ctx, hangup) })
	f.t.Cleanup(func() {
		cancel()
		watching.Wait()
	})
}

func generation(n int) func(Status) bool {
	return func(s Status) bool { return s.Generation == n && s.State == StateReady }
}

// TestWatch changes a file in the ways in which files are changed.
func TestWatch(t *testing.T) {
	t.Parallel()
	o, hangup := watched(t)
	path := filepath.Join(o.dir, "a.yaml")
	content := func(value string) []byte {
		return []byte(written(o.address, o.file, "value: "+value, ""))
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(how, value string, n int) {
		t.Helper()
		o.becomes("a", how, generation(n))
		if answer := o.mustPost(o.address, "x"); !strings.HasSuffix(answer, " "+value) {
			t.Errorf("%s: answer %q", how, answer)
		}
	}
	must(os.WriteFile(path, content("written"), 0o600))
	want("written in place", "written", 2)

	o.write("a.yaml", string(content("renamed")))
	want("renamed", "renamed", 3)

	// As a mounted folder of Kubernetes: a.yaml is a link into ..data, which is a
	// link that is exchanged.
	for n, value := range []string{"one", "two"} {
		data := filepath.Join(o.dir, "..data-"+value)
		must(os.Mkdir(data, 0o700))
		must(os.WriteFile(filepath.Join(data, "a.yaml"), content(value), 0o600))
		must(os.Symlink(data, filepath.Join(o.dir, "..data.new")))
		must(os.Rename(filepath.Join(o.dir, "..data.new"), filepath.Join(o.dir, "..data")))
		if n == 0 {
			must(os.Symlink(filepath.Join("..data", "a.yaml"), path+".link"))
			must(os.Rename(path+".link", path))
		}
		want("linked", value, 4+n)
	}
	must(os.Remove(path))
	o.write("a.yaml", string(content("two")))

	// What editors leave for a while is no route.
	for _, name := range []string{".a.yaml.swp", "a.yaml~", "#a.yaml#", "4913"} {
		must(os.WriteFile(filepath.Join(o.dir, name), []byte("garbage: ["), 0o600))
	}

	secret := filepath.Join(o.dir, "secret")
	must(os.WriteFile(secret, []byte("first"), 0o600))
	o.write("a.yaml", string(content(fmt.Sprintf("\"${file:%s}\"", secret))))
	want("with a file named", "first", 6)
	must(os.WriteFile(secret, []byte("second"), 0o600))
	want("the file named was changed", "second", 7)

	o.write("b.yaml", written(freeAddress(t), o.file, "", ""))
	o.becomes("b", "added", generation(1))
	must(os.Remove(filepath.Join(o.dir, "b.yaml")))
	o.becomes("b", "removed", func(s Status) bool { return s.State == "" })

	hangup <- syscall.SIGHUP
	want("left alone", "second", 7)
}

// TestBadFiles puts in place of a file what is none; the route goes on, and says
// what is wrong.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	o, _ := watched(t)
	before := o.status("a")
	path := filepath.Join(o.dir, "a.yaml")
	for what, put := range map[string]func() error{
		"half a file":   func() error { return os.WriteFile(path, []byte("inbound: { adapter: pro"), 0o600) },
		"nothing":       func() error { return os.WriteFile(path, nil, 0o600) },
		"a large one":   func() error { return os.WriteFile(path, []byte("# "+strings.Repeat("x", 10<<20)), 0o600) },
		"a folder":      func() error { return os.Mkdir(path, 0o700) },
		"a broken link": func() error { return os.Symlink("nowhere", path) },
		"a pipe":        func() error { return syscall.Mkfifo(path, 0o600) },
	} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := put(); err != nil {
			t.Fatal(err)
		}
		s := o.becomes("a", "refused: "+what, func(s Status) bool { return s.Reload != nil && !s.Reload.OK })
		if len(s.Findings) == 0 || s.State != StateReady || !cmp.Equal(pids(s), pids(before)) {
			t.Errorf("%s: %+v", what, s)
		}
		o.mustPost(o.address, "x")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		o.write("a.yaml", written(o.address, o.file, "", ""))
		s = o.becomes("a", "accepted after "+what, func(s Status) bool { return s.Reload.OK })
		if !cmp.Equal(pids(s), pids(before)) {
			t.Errorf("%s: %+v", what, s)
		}
	}
}

// TestStorm writes without a pause: the bridge neither waits for ever nor follows
// every write, and ends up with the last.
func TestStorm(t *testing.T) {
	t.Parallel()
	o, _ := watched(t)
	deadline := time.Now().Add(3 * time.Second)
	writes := 0
	for ; time.Now().Before(deadline); writes++ {
		o.write("a.yaml", written(o.address, o.file, fmt.Sprintf("value: v%d", writes), ""))
	}
	last := fmt.Sprintf("v%d", writes-1)
	o.becomes("a", "as written last", func(Status) bool {
		return strings.HasSuffix(o.mustPost(o.address, "x"), " "+last)
	})
	if s := o.status("a"); s.Generation >= writes || s.Instances[0].Restarts > 0 {
		t.Errorf("%d writes made %d generations", writes, s.Generation)
	}
}

// TestUpgrade replaces a plugin's file: its instances move to the new one, and
// nothing else does; a file that is no plugin changes nothing.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	plugins := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	install(t, self, plugins, "probe")
	address, file := freeAddress(t), filepath.Join(t.TempDir(), "events")
	f := serve(t, func(env *Environment) {
		env.Registry = registry.New([]string{plugins}, self, []registry.Plugin{{Name: "other", Adapters: []core.Adapter{probe{}}}})
	}, "a.yaml", strings.Replace(written(address, file, "", ""), "process: in", "plugin: other", 1))
	f.watch(nil)
	before := f.ready("a")
	in, out := "in-"+named(address), "out-"+named(address)
	f.mustPost(address, "1")

	install(t, self, plugins, "probe")
	s := f.becomes("a", "upgraded", generation(2))
	if pids(s)[in] != pids(before)[in] || pids(s)[out] == pids(before)[out] {
		t.Errorf("pids were %v, are %v", pids(before), pids(s))
	}
	f.mustPost(address, "2")

	bad := filepath.Join(plugins, registry.FilePrefix+"probe")
	if err := os.WriteFile(bad+".new", []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(bad+".new", bad); err != nil {
		t.Fatal(err)
	}
	upgraded := s
	s = f.becomes("a", "refused", func(s Status) bool { return !s.Reload.OK })
	if !cmp.Equal(pids(s), pids(upgraded)) || s.State != StateReady {
		t.Errorf("%+v", s)
	}
	f.mustPost(address, "3")

	install(t, self, plugins, "probe")
	f.becomes("a", "upgraded again", generation(3))

	names, err := f.routes.Restart(t.Context(), "other")
	if err != nil || !cmp.Equal(names, []string{"a"}) {
		t.Errorf("restart: %v %v", names, err)
	}
	last := f.ready("a")
	if pids(last)[in] == pids(before)[in] {
		t.Errorf("pids were %v, are %v", pids(before), pids(last))
	}
	if _, err := f.routes.Restart(t.Context(), "nobody"); err == nil {
		t.Error("a plugin that does not run was restarted")
	}
}

// install copies the test's executable into the folder as a plugin, which it plays
// under that name.
func install(t *testing.T, self, plugins, name string) {
	t.Helper()
	source, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	path := filepath.Join(plugins, registry.FilePrefix+name)
	target, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if closeErr := target.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}
