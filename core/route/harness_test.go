package route

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/registry"
	"github.com/pushbridge/bridge/core/sockets"
	"github.com/pushbridge/bridge/core/state"
)

const patience = time.Minute

// folder is a conf.d with the routes that run it.
type folder struct {
	t      *testing.T
	dir    string
	routes *Routes
	// stopTime is what stopping may take before all is cut off.
	stopTime time.Duration
}

// quick is a supervision that tests can wait for.
func quick() Supervision {
	s := DefaultSupervision()
	s.FirstDelay, s.MaxDelay = 10*time.Millisecond, 50*time.Millisecond
	s.StartTimeout, s.CheckEvery = 30*time.Second, time.Second
	s.GiveUp = 4
	return s
}

// serve runs a folder with the files, name and content in turns.
func serve(t *testing.T, change func(*Environment), files ...string) *folder {
	t.Helper()
	f := prepare(t, change, files...)
	f.start()
	return f
}

// prepare makes a folder that is stopped when the test ends.
func prepare(t *testing.T, change func(*Environment), files ...string) *folder {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	runtime, err := NewRuntimeDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	f := &folder{t: t, dir: t.TempDir(), stopTime: patience}
	for n := 0; n < len(files); n += 2 {
		f.write(files[n], files[n+1])
	}
	env := Environment{
		Bus: bus.New(), Registry: registry.New(nil, self, []registry.Plugin{{Name: "probe", Adapters: []core.Adapter{probe{}}}}),
		Sockets: sockets.New(), Peers: peers.NewRegistry(), State: state.New(), ConfDir: f.dir, RuntimeDir: runtime,
		Log: slog.New(slog.NewTextHandler(testLog{t}, nil)), DrainTime: 2 * time.Second, Supervision: quick(),
	}
	if change != nil {
		change(&env)
	}
	f.routes = New(env)
	t.Cleanup(f.stop)
	return f
}

func (f *folder) start() {
	f.t.Helper()
	read, err := config.ReadFolder(f.dir, config.Environment{})
	if err != nil {
		f.t.Fatal(err)
	}
	f.routes.Start(read)
}

func (f *folder) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), f.stopTime)
	defer cancel()
	stopped := make(chan error, 1) // one result, whether or not it comes in time
	go func() { stopped <- f.routes.Stop(ctx) }()
	select {
	case err := <-stopped:
		f.t.Logf("stop: %v", err)
	case <-time.After(f.stopTime + patience):
		f.t.Error("stopping takes for ever")
	}
}

func (f *folder) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

// testLog shows the log of a test that fails.
type testLog struct{ t *testing.T }

func (l testLog) Write(line []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", line)
	}
	return len(line), nil
}

func (f *folder) write(name, content string) {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		f.t.Fatal(err)
	}
}

// reload reloads and returns what came of the route.
func (f *folder) reload(route string) Status {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f.routes.Reload(ctx)
	return f.status(route)
}

// status is the route's; without a State if there is none.
func (f *folder) status(route string) Status {
	for _, s := range f.routes.Status() {
		if s.Route == route {
			return s
		}
	}
	return Status{}
}

// becomes waits until the route is as is says.
func (f *folder) becomes(route, what string, is func(Status) bool) Status {
	f.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		s := f.status(route)
		if is(s) {
			return s
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("route %s did not become %s: %+v", route, what, s)
		}
		select {
		case <-f.t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (f *folder) ready(route string) Status {
	f.t.Helper()
	return f.becomes(route, "ready", func(s Status) bool { return s.State == StateReady })
}

// alone waits until no earlier generation takes clients or events any more.
func (f *folder) alone(route string) Status {
	f.t.Helper()
	return f.becomes(route, "rid of its earlier generation", func(s Status) bool { return s.State == StateReady && s.Draining == 0 })
}

// post pushes and returns the answer.
func post(address, path, data string) (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Post("http://"+address+path, "text/plain", strings.NewReader(data))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	return strings.TrimSpace(string(body)), err
}

func (f *folder) mustPost(address, data string) string {
	f.t.Helper()
	answer, err := post(address, "/", data)
	if err != nil {
		f.t.Fatal(err)
	}
	return answer
}

// received are the lines that a sink has got.
func received(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(data))
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// pids of a route's instances by name.
func pids(s Status) map[string]int {
	all := make(map[string]int)
	for _, i := range s.Instances {
		all[i.Name] = i.Pid
	}
	return all
}

// restarts of a route's instances by name.
func restarts(s Status) map[string]int {
	all := make(map[string]int)
	for _, i := range s.Instances {
		all[i.Name] = i.Restarts
	}
	return all
}
