//go:build integration

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quick is a bridge.yaml whose times a test can wait for.
const quick = `
drain_time: 1s
supervision: { first_delay: 20ms, max_delay: 100ms, healthy: 1s, give_up: 1000 }
`

// life is a bridge with a route under load, and another that must not notice.
type life struct {
	*bridge
	t            *testing.T
	isolation    string
	push, router string
	load         *load
	subscribers  []*subscriber
}

func underLoad(t *testing.T, ack, isolation string) *life {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := &life{t: t, isolation: isolation, push: address(t), router: address(t)}
	writeFile(t, filepath.Join(dir, "bridge.yaml"), quick)
	writeFile(t, filepath.Join(dir, "conf.d", "10-main.yaml"), ack+l.content())
	writeFile(t, filepath.Join(dir, "conf.d", "20-other.yaml"), crossbarWAMP(address(t), address(t)))
	l.bridge = serveIn(t, dir)
	for range 4 {
		l.subscribers = append(l.subscribers, subscribe(t, l.router))
	}
	l.load = startLoad(l.push)
	return l
}

// content is the file of the route under load.
func (l *life) content() string {
	content := crossbarWAMP(l.push, l.router)
	for _, adapter := range []string{"adapter: crossbar-pusher", "adapter: wamp"} {
		content = strings.Replace(content, adapter, adapter+"\n  "+indentOf(content, adapter)+"isolation: "+l.isolation, 1)
	}
	return content
}

// indentOf is how far the keys beside a text are set in, beyond two.
func indentOf(content, text string) string {
	before, _, _ := strings.Cut(content, text)
	return strings.Repeat(" ", len(before)-strings.LastIndex(before, "\n")-3)
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// routeStatus is what `bridge status --json` says of a route.
type routeStatus struct {
	Route, State string
	Generation   int
	Draining     int
	Reload       struct {
		OK         bool
		Error, How string
	}
	Instances []struct {
		Name, State, Problem string
		Pid, Restarts        int
		Listeners            *int
	}
}

// ask asks the bridge for the states of its routes, after a reload if the verb says
// so.
func (b *bridge) ask(t *testing.T, verb string) map[string]routeStatus {
	t.Helper()
	if verb == "reload" {
		reload := exec.Command(binary(t), "reload")
		reload.Dir = b.dir
		_ = reload.Run() // that a file is refused shows in the status
	}
	command := exec.Command(binary(t), "status", "--json")
	command.Dir = b.dir
	out, err := command.Output()
	if len(out) == 0 {
		t.Fatalf("bridge status: %v", err)
	}
	var report struct{ Routes []routeStatus }
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("bridge status: %s", out)
	}
	routes := make(map[string]routeStatus)
	for _, r := range report.Routes {
		routes[r.Route] = r
	}
	return routes
}

// until waits for a state of the routes.
func (b *bridge) until(t *testing.T, what string, is func(map[string]routeStatus) bool) map[string]routeStatus {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		routes := b.ask(t, "status")
		if is(routes) {
			return routes
		}
		if time.Now().After(deadline) {
			t.Fatalf("did not become %s: %+v", what, routes)
		}
	}
}

// finish ends the load and prints and judges what became of it.
func (l *life) finish() (lost int) {
	l.t.Helper()
	l.load.end()
	l.t.Logf("pushes: %v, statuses: %v", l.load.counts, l.load.statuses)
	if len(l.load.strange) > 0 {
		l.t.Errorf("%d answers are not shaped like the protocol's, the first %s", len(l.load.strange), l.load.strange[0])
	}
	if l.load.counts["accepted"] < 1000 {
		l.t.Errorf("only %d pushes were accepted", l.load.counts["accepted"])
	}
	for n, s := range l.subscribers {
		s.settle(l.t, l.load)
		d := s.judge(l.load)
		l.t.Logf("subscriber %d: %d sessions, %d lost while subscribed, %d behind a GOODBYE, %d doubled, %d in the gaps between sessions", n, d.sessions, d.lost, d.tails, d.doubled, d.gaps)
		lost += d.lost
		if d.doubled > 0 {
			l.t.Errorf("%d events were doubled", d.doubled)
		}
	}
	return lost
}

// wantNone fails if one of these came about.
func (l *life) wantNone(outcomes ...string) {
	l.t.Helper()
	for _, outcome := range outcomes {
		if n := l.load.counts[outcome]; n > 0 {
			l.t.Errorf("%d pushes were %s", n, outcome)
		}
	}
}

// pidsOf are the processes of a route's instances.
func pidsOf(r routeStatus) string {
	var pids []string
	for _, i := range r.Instances {
		pids = append(pids, fmt.Sprint(i.Name, " ", i.Pid))
	}
	return strings.Join(pids, ", ")
}

func (l *life) kill(instance string, times int) {
	l.t.Helper()
	for n := range times {
		routes := l.until(l.t, "ready", func(routes map[string]routeStatus) bool { return routes["main"].State == "ready" })
		for _, i := range routes["main"].Instances {
			if i.Name != instance {
				continue
			}
			if err := syscall.Kill(i.Pid, syscall.SIGKILL); err != nil {
				l.t.Fatal(err)
			}
			l.until(l.t, "restarted", func(routes map[string]routeStatus) bool {
				main := routes["main"]
				for _, after := range main.Instances {
					if after.Name == instance && after.Restarts > n && after.Pid != i.Pid && after.Pid != 0 {
						return main.State == "ready"
					}
				}
				return false
			})
		}
		<-time.After(300 * time.Millisecond) // of load between two deaths
	}
}

// The sink's process dies ten times: what is accepted has the sink's receipt, the
// rest is answered in the protocol's way, nobody is refused or left waiting.
func TestSinkIsKilled(t *testing.T) {
	l := underLoad(t, "ack: all\n", "process")
	other := pidsOf(l.ask(t, "status")["other"])
	l.kill("main.wamp", 10)
	l.finish() // what a dead router had not sent is lost with its sockets
	l.wantNone("refused", "reset", "never answered")
	if now := pidsOf(l.ask(t, "status")["other"]); now != other {
		t.Errorf("the other route's processes were %s, are %s", other, now)
	}
}

// The source's process dies ten times: nobody is refused, what was under way in it
// is reset, everything accepted arrives.
func TestSourceIsKilled(t *testing.T) {
	l := underLoad(t, "", "process")
	other := pidsOf(l.ask(t, "status")["other"])
	l.kill("main.crossbar-pusher", 10)
	if lost := l.finish(); lost > 0 {
		t.Errorf("%d deliveries were lost", lost)
	}
	l.wantNone("refused", "never answered", "refused by the protocol")
	if resets := l.load.counts["reset"]; resets > 10*loadConnections {
		t.Errorf("%d pushes were reset, more than could be under way at ten deaths", resets)
	}
	if now := pidsOf(l.ask(t, "status")["other"]); now != other {
		t.Errorf("the other route's processes were %s, are %s", other, now)
	}
}

// The route is reloaded twenty times, in turns in place, with a new source, with a
// new sink: no connection refused, no request lost, no delivery lost to a socket
// that was subscribed.
func TestRouteIsReloaded(t *testing.T) {
	for _, isolation := range []string{"process", "none"} {
		t.Run("isolation "+isolation, func(t *testing.T) { reloadUnderLoad(t, isolation) })
	}
}

func reloadUnderLoad(t *testing.T, isolation string) {
	l := underLoad(t, "", isolation)
	other := pidsOf(l.ask(t, "status")["other"])
	how := make(map[string]int)
	for n := range 20 {
		content := l.content()
		switch n % 3 {
		case 0: // in place
			content = replaceOnce(t, content, `role: anonymous }`, fmt.Sprintf(`role: anonymous, post_body_limit: %d }`, 10_000+n))
		case 1: // the HTTP server is another
			content = replaceOnce(t, content, `role: anonymous }`, fmt.Sprintf(`role: anonymous, limits: { idle_timeout: %ds } }`, 100+n))
		case 2: // so is the router
			content = replaceOnce(t, content, "      realms:\n", fmt.Sprintf("      limits: { idle_timeout: %ds }\n      realms:\n", 100+n))
		}
		writeFile(t, filepath.Join(l.dir, "conf.d", "10-main.yaml"), content)
		main := l.ask(t, "reload")["main"]
		if !main.Reload.OK || main.Generation != n+2 {
			t.Fatalf("reload %d: %+v", n, main)
		}
		how[strings.Fields(main.Reload.How)[0]]++
	}
	for _, i := range l.ask(t, "status")["main"].Instances {
		if i.Name == "main.wamp" && (i.Listeners == nil || *i.Listeners > len(l.subscribers)+1) { // one may be between two sessions
			t.Errorf("listeners of %+v", i)
		}
	}
	l.until(t, "rid of earlier generations", func(routes map[string]routeStatus) bool { return routes["main"].Draining == 0 })
	if lost := l.finish(); lost > 0 {
		t.Errorf("%d deliveries were lost", lost)
	}
	t.Logf("reloads: %v", how)
	l.wantNone("refused", "reset", "never answered", "refused by the protocol")
	if how["reconfigured"] == 0 || how["replaced"] == 0 {
		t.Errorf("reloads: %v", how)
	}
	if now := pidsOf(l.ask(t, "status")["other"]); now != other {
		t.Errorf("the other route's processes were %s, are %s", other, now)
	}
}

// Another route comes, breaks, is mended, and goes, twenty times.
func TestAnotherRouteChanges(t *testing.T) {
	l := underLoad(t, "", "process")
	before := l.ask(t, "status")
	path := filepath.Join(l.dir, "conf.d", "30-guest.yaml")
	content := crossbarWAMP(address(t), address(t))
	for range 20 {
		writeFile(t, path, content)
		if guest := l.ask(t, "reload")["guest"]; guest.State != "ready" {
			t.Fatalf("added: %+v", guest)
		}
		writeFile(t, path, replaceOnce(t, content, "realm: realm1", "relam: realm1"))
		if guest := l.ask(t, "reload")["guest"]; guest.State != "ready" || guest.Reload.OK || guest.Reload.Error == "" {
			t.Fatalf("broken: %+v", guest)
		}
		writeFile(t, path, replaceOnce(t, content, "role: anonymous }", "role: anonymous, post_body_limit: 4242 }"))
		if guest := l.ask(t, "reload")["guest"]; guest.State != "ready" || !guest.Reload.OK {
			t.Fatalf("mended: %+v", guest)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if guest := l.ask(t, "reload")["guest"]; guest.State != "" {
			t.Fatalf("removed: %+v", guest)
		}
	}
	if lost := l.finish(); lost > 0 {
		t.Errorf("%d deliveries were lost", lost)
	}
	l.wantNone("refused", "reset", "never answered", "refused by the protocol")
	after := l.ask(t, "status")
	for _, route := range []string{"main", "other"} {
		if pidsOf(after[route]) != pidsOf(before[route]) {
			t.Errorf("%s: processes were %s, are %s", route, pidsOf(before[route]), pidsOf(after[route]))
		}
	}
	for n, s := range l.subscribers {
		if sessions := s.judge(l.load).sessions; sessions != 1 {
			t.Errorf("subscriber %d had %d sessions", n, sessions)
		}
	}
}

// A thousand deaths leave nothing behind: no goroutine, no descriptor, no folder.
func TestManyDeaths(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	admin := address(t)
	writeFile(t, filepath.Join(dir, "bridge.yaml"), fmt.Sprintf(`
admin: %q
supervision: { first_delay: 1ms, max_delay: 1ms, healthy: 1h, give_up: 100000 }
`, admin))
	writeFile(t, filepath.Join(dir, "conf.d", "10-main.yaml"), crossbarWAMP(address(t), address(t)))
	runtime, err := os.MkdirTemp("", "b") // sockets have short paths
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(runtime) })
	b := serveIn(t, dir, "RUNTIME_DIRECTORY="+runtime)
	deaths := 0
	die := func(until int) {
		for deaths < until {
			for _, pid := range children(t, b.command.Process.Pid) {
				if syscall.Kill(pid, syscall.SIGKILL) == nil {
					deaths++
				}
			}
			deadline := time.Now().Add(patience)
			for ready := false; !ready; {
				status, _ := get(t, "http://"+admin+"/readyz")
				if ready = status == 200; !ready && time.Now().After(deadline) {
					t.Fatal("not ready again")
				}
			}
		}
	}
	measure := func() (goroutines, descriptors, folders int) {
		_, page := get(t, "http://"+admin+"/metrics")
		for line := range strings.Lines(page) {
			if _, err := fmt.Sscanf(line, "go_goroutines %d", &goroutines); err == nil {
				break
			}
		}
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.command.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		err = filepath.WalkDir(runtime, func(_ string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				folders++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return goroutines, len(entries), folders
	}
	// settled measures until five looks in a row say the same, since a look may fall
	// into a restart.
	settled := func() (goroutines, descriptors, folders int) {
		deadline := time.Now().Add(patience)
		for same := 0; same < 5 && time.Now().Before(deadline); {
			g, d, f := measure()
			if len(children(t, b.command.Process.Pid)) == 2 && d == descriptors && f == folders {
				same++
			} else {
				same = 0
			}
			goroutines, descriptors, folders = g, d, f
			<-time.After(50 * time.Millisecond)
		}
		return goroutines, descriptors, folders
	}
	die(20)
	goroutines, descriptors, folders := settled()
	die(1000)
	goroutines2, descriptors2, folders2 := settled()
	t.Logf("after 20 and %d deaths: %d and %d goroutines, %d and %d descriptors, %d and %d folders",
		deaths, goroutines, goroutines2, descriptors, descriptors2, folders, folders2)
	// A few come and go with what happens to be under way.
	if goroutines == 0 || goroutines2 > goroutines+20 || descriptors2 > descriptors+10 || folders2 > folders {
		t.Error("something was left behind")
	}
}
