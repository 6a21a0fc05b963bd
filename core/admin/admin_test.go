package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/admin"
	"github.com/pushbridge/bridge/core/config"
	"github.com/pushbridge/bridge/core/route"
)

// envControl makes the test binary a bridge that serves a control socket, at the
// path that it holds, until it is killed.
const envControl = "BRIDGE_TEST_CONTROL"

func TestMain(m *testing.M) {
	path := os.Getenv(envControl)
	if path == "" {
		goleak.VerifyTestMain(m)
		return
	}
	_, err := admin.ServeControl(path, admin.Bridge{}, &model{}, discard())
	fmt.Println("serving", err)
	select {}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// model is what routes would say.
type model struct {
	mu      sync.Mutex
	states  []route.Status
	reloads int
	metrics string
}

func (m *model) Status() []route.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.states
}

func (m *model) Reload(context.Context) []route.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reloads++
	return m.states
}

func (m *model) Restart(_ context.Context, plugin string) ([]string, error) {
	if plugin != "wamp" {
		return nil, fmt.Errorf("no route runs the plugin %q", plugin)
	}
	return []string{"chat", "feed"}, nil
}

func (m *model) Metrics(context.Context) []byte { return []byte(m.metrics) }

func states() []route.Status {
	listeners := 12
	return []route.Status{
		{
			Route: "chat", File: "conf.d/chat.yaml", State: route.StateReady, Generation: 3,
			Reload: &route.ReloadStatus{Time: time.UnixMilli(1700000000500).UTC(), Error: "conf.d/chat.yaml:1:1: error: no"},
			Findings: config.Findings{
				{File: "conf.d/chat.yaml", Line: 1, Column: 1, Severity: core.SeverityError, Message: "no"},
				{File: "conf.d/chat.yaml", Line: 2, Severity: core.SeverityWarning, Message: "hm"},
			},
			Instances: []route.InstanceStatus{
				{Name: "chat.in", Adapter: "in", Source: true, State: route.StateReady, Pid: 7, Restarts: 2, Addresses: []core.Address{{Listen: ":80", Paths: []string{"/a"}}}},
				{Name: "chat.out", Adapter: "out", Sink: true, State: route.StateReady, Listeners: &listeners},
			},
			Edges: []route.EdgeStatus{
				{Target: "chat.out", Waiting: 1, Queued: 10, Delivered: 7, Refused: 2},
				{Target: "chat.out", Queued: 5, Delivered: 5},
			},
		},
		{Route: "worse", State: route.StateDegraded, Problem: "far router is away"},
	}
}

// folder is short enough for sockets.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "adm")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func controlPath(t *testing.T, base, confDir string) string {
	t.Helper()
	path, err := admin.ControlPath(base, confDir)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func stop(t *testing.T, s *admin.Server) {
	t.Helper()
	if err := s.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func serveControl(t *testing.T, path string, m admin.Model) *admin.Server {
	t.Helper()
	s, err := admin.ServeControl(path, admin.Bridge{Version: "v1", ConfDir: "conf.d", Pid: os.Getpid()}, m, discard())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestControl(t *testing.T) {
	base, ctx := folder(t), context.Background()
	path := controlPath(t, base, "conf.d")
	m := &model{states: states()}
	s := serveControl(t, path, m)
	defer stop(t, s)
	client := admin.NewClient(path, "conf.d")

	report, err := client.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	want := admin.Report{Bridge: admin.Bridge{Version: "v1", ConfDir: "conf.d", Pid: os.Getpid()}, Routes: states()}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	if report, err := client.Reload(ctx); err != nil || m.reloads != 1 || len(report.Routes) != 2 {
		t.Errorf("%d reloads, %+v, %v", m.reloads, report, err)
	}
	if routes, err := client.Restart(ctx, "wamp"); err != nil || !cmp.Equal(routes, []string{"chat", "feed"}) {
		t.Errorf("%v, %v", routes, err)
	}
	if _, err := client.Restart(ctx, "a&b"); err == nil || err.Error() != `no route runs the plugin "a&b"` {
		t.Errorf("error %v", err)
	}
	if _, err := client.Restart(ctx, ""); err == nil || !strings.Contains(err.Error(), "say which plugin") {
		t.Errorf("error %v", err)
	}
	for path, mode := range map[string]os.FileMode{filepath.Dir(path): 0o700, path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

// Looking changes nothing, and nothing but a POST reloads.
func TestControlMethods(t *testing.T) {
	path := controlPath(t, folder(t), "conf.d")
	m := &model{}
	s := serveControl(t, path, m)
	defer stop(t, s)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	for _, target := range []string{"/reload", "/plugins/restart?plugin=wamp", "/nothing"} {
		response, err := client.Get("http://bridge" + target)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode < 400 {
			t.Errorf("GET %s is answered %s", target, response.Status)
		}
	}
	if m.reloads != 0 {
		t.Error("a GET reloads")
	}
}

func TestControlOfAnotherBridge(t *testing.T) {
	base := folder(t)
	path := controlPath(t, base, "conf.d")
	first := serveControl(t, path, &model{})
	_, err := admin.ServeControl(path, admin.Bridge{ConfDir: "conf.d"}, &model{}, discard())
	if !errors.Is(err, admin.ErrServed) || !strings.Contains(err.Error(), fmt.Sprintf("(pid %d)", os.Getpid())) || !strings.Contains(err.Error(), "--conf-dir") {
		t.Errorf("error %v", err)
	}
	other := serveControl(t, controlPath(t, base, "other.d"), &model{})
	stop(t, other)
	stop(t, first)
	if left, err := os.ReadDir(base); err != nil || len(left) != 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	stop(t, serveControl(t, path, &model{}))
}

// What a bridge that was killed leaves is replaced by the next one of its folder,
// and removed by that of any other.
func TestControlOfAKilledBridge(t *testing.T) {
	for _, next := range []string{"conf.d", "other.d"} {
		base := folder(t)
		path := controlPath(t, base, "conf.d")
		killedBridge(t, path)
		if _, err := admin.NewClient(path, "conf.d").Status(context.Background()); !errors.Is(err, admin.ErrNoBridge) {
			t.Errorf("error %v", err)
		}
		nextPath := controlPath(t, base, next)
		s := serveControl(t, nextPath, &model{})
		if _, err := admin.NewClient(nextPath, next).Status(context.Background()); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(base); err != nil || len(left) != 1 {
			t.Errorf("%v is there, %v", left, err)
		}
		stop(t, s)
	}
}

func killedBridge(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bridge := exec.Command(self)
	bridge.Env = append(os.Environ(), envControl+"="+path)
	out, err := bridge.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := bridge.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "serving <nil>\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := admin.NewClient(path, "conf.d").Status(context.Background()); err != nil {
		t.Errorf("the bridge that is to be killed: %v", err)
	}
	if err := bridge.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = bridge.Wait()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a killed bridge leaves its socket: %v", err)
	}
}

func TestNoBridge(t *testing.T) {
	path := controlPath(t, folder(t), "conf.d")
	_, err := admin.NewClient(path, "conf.d").Status(context.Background())
	if !errors.Is(err, admin.ErrNoBridge) || !strings.Contains(err.Error(), "bridge serve --conf-dir conf.d") || !strings.Contains(err.Error(), "runtime_dir") {
		t.Errorf("error %v", err)
	}
}

// Somebody else's folder, or no folder, in the place of the control folder.
func TestControlFolderIsOurs(t *testing.T) {
	path := controlPath(t, folder(t), "conf.d")
	if err := os.Symlink("/", filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	_, err := admin.ServeControl(path, admin.Bridge{}, &model{}, discard())
	if err == nil || !strings.Contains(err.Error(), "runtime_dir") {
		t.Errorf("error %v", err)
	}
}

func TestControlPath(t *testing.T) {
	absolute, err := filepath.Abs("conf.d")
	if err != nil {
		t.Fatal(err)
	}
	one, same, other := controlPath(t, "/run", "conf.d"), controlPath(t, "/run", absolute+"/"), controlPath(t, "/run", "elsewhere")
	if one != same || one == other {
		t.Errorf("%s, %s, %s", one, same, other)
	}
	if _, err := admin.ControlPath("/"+strings.Repeat("long", 30), "conf.d"); err == nil || !strings.Contains(err.Error(), "runtime_dir") {
		t.Errorf("error %v", err)
	}
}

func TestRuntimeDir(t *testing.T) {
	t.Setenv("TMPDIR", "/tmp/x")
	t.Setenv("RUNTIME_DIRECTORY", "")
	if got := admin.RuntimeDir(""); got != "/tmp/x" {
		t.Error(got)
	}
	t.Setenv("RUNTIME_DIRECTORY", "/run/a:/run/b")
	if got := admin.RuntimeDir(""); got != "/run/a" {
		t.Error(got)
	}
	if got := admin.RuntimeDir("/mine"); got != "/mine" {
		t.Error(got)
	}
}

// page fetches a page of the admin address.
func page(t *testing.T, s *admin.Server, path string) (int, string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + s.Address() + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func serveAdmin(t *testing.T, m admin.Model) *admin.Server {
	t.Helper()
	s, err := admin.ServeAdmin(context.Background(), "127.0.0.1:0", admin.Bridge{Version: "v1"}, m, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func TestHealth(t *testing.T) {
	m := &model{states: states()}
	s := serveAdmin(t, m)
	if code, text := page(t, s, "/healthz"); code != 200 || text != "ok\n" {
		t.Errorf("%d %q", code, text)
	}
	if code, text := page(t, s, "/readyz"); code != 200 || text != "ready\n" {
		t.Errorf("%d %q", code, text)
	}
	if code, text := page(t, s, "/"); code != 200 || !strings.Contains(text, "/readyz") {
		t.Errorf("%d %q", code, text)
	}
	m.states = append(states(),
		route.Status{Route: "broken", State: route.StateFailed, Problem: "open x: no\nand more"},
		route.Status{Route: "child", State: route.StateBackingOff, Instances: []route.InstanceStatus{{Name: "child.a", Problem: "killed"}}},
		route.Status{Route: "bad", State: route.StateFailed, Findings: states()[0].Findings},
		route.Status{Route: "new", State: route.StateOpening},
	)
	want := "broken: failed: open x: no\nchild: backing off: child.a: killed\n" +
		"bad: failed: conf.d/chat.yaml:1:1: error: no\nnew: opening\n"
	if code, text := page(t, s, "/readyz"); code != 503 || text != want {
		t.Errorf("%d %q", code, text)
	}
	if code, _ := page(t, s, "/status"); code != 404 {
		t.Errorf("the admin address answers %d to what is for the control socket", code)
	}
}

func TestMetrics(t *testing.T) {
	m := &model{states: states(), metrics: "# TYPE go_goroutines gauge\ngo_goroutines{instance=\"chat.out\"} 5\nbridge_build_info 9\n"}
	m.states = append(m.states, route.Status{Route: "chat", State: route.StateFailed}, route.Status{Route: "caf\xe9"})
	code, text := page(t, serveAdmin(t, m), "/metrics")
	if code != 200 {
		t.Fatal(text)
	}
	for _, want := range []string{
		`bridge_build_info{version="v1"} 1`,
		`bridge_route_ready{route="chat"} 1`,
		`bridge_route_ready{route="caf` + "\uFFFD" + `"} 0`,
		`bridge_route_state{route="worse",state="degraded"} 1`,
		`bridge_route_generation{route="chat"} 3`,
		`bridge_route_reload_success{route="chat"} 0`,
		`bridge_route_reload_time_seconds{route="chat"} 1.7000000005e+09`,
		`bridge_instance_restarts_total{instance="chat.in",route="chat"} 2`,
		`bridge_instance_listeners{instance="chat.out",route="chat"} 12`,
		`bridge_edge_delivered_total{route="chat",target="chat.out"} 12`,
		`bridge_edge_waiting{route="chat",target="chat.out"} 1`,
		`go_goroutines{instance="chat.out"} 5`,
		"# plugins: metrics of a type that others of their name do not have are left out: [bridge_build_info]",
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "# TYPE go_goroutines "); n != 1 {
		t.Errorf("go_goroutines has %d types", n)
	}
}

func TestAdminAddressThatIsTaken(t *testing.T) {
	s := serveAdmin(t, &model{})
	_, err := admin.ServeAdmin(context.Background(), s.Address(), admin.Bridge{}, &model{}, discard())
	if err == nil || !strings.Contains(err.Error(), "give admin another address in bridge.yaml") {
		t.Errorf("error %v", err)
	}
}

// A caller that sends more than it may is cut off.
func TestHugeHeader(t *testing.T) {
	s := serveAdmin(t, &model{})
	request, err := http.NewRequest(http.MethodGet, "http://"+s.Address()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Huge", strings.Repeat("x", 64<<10))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return // the connection is closed while it still writes
	}
	response.Body.Close()
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %s", response.Status)
	}
}

func TestStopWaitsForNoIdleCaller(t *testing.T) {
	s, err := admin.ServeAdmin(context.Background(), "127.0.0.1:0", admin.Bridge{}, &model{}, discard())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", s.Address()); err == nil {
		t.Error("the address is still served")
	}
}
