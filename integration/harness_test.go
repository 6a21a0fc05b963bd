//go:build integration

package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait; it decides nothing else.
const patience = 30 * time.Second

// bridge is a running `bridge serve`.
type bridge struct {
	command *exec.Cmd
	dir     string
	stdout  *watched
	stderr  *watched
	ended   chan struct{}
}

// watched is output that a test can wait on.
type watched struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{} // capacity 1: a waiter looks at all there is
}

func newWatched() *watched { return &watched{wrote: make(chan struct{}, 1)} }

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.wrote <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// wait waits until the output holds text.
func (w *watched) wait(t testing.TB, text string) {
	t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(w.String(), text) {
		select {
		case <-w.wrote:
		case <-deadline:
			t.Fatalf("waited for %q; the output is\n%s", text, w)
		}
	}
}

// root is the folder of the checkout.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func binary(t testing.TB) string {
	t.Helper()
	path := filepath.Join(root(t), "bin", "bridge")
	if _, err := os.Stat(path); err != nil {
		t.Fatal("bin/bridge is missing: run make build")
	}
	return path
}

// serve writes the files into a conf.d folder of its own and runs the program on
// it until the routes are reported.
func serve(t testing.TB, files map[string]string, env ...string) *bridge {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "conf.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, "conf.d", name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return serveIn(t, dir, env...)
}

// serveIn runs the program in a folder that holds a conf.d.
func serveIn(t testing.TB, dir string, env ...string) *bridge {
	t.Helper()
	b := &bridge{dir: dir, stdout: newWatched(), stderr: newWatched(), ended: make(chan struct{})}
	b.command = exec.Command(binary(t), "serve", "--json")
	b.command.Dir = dir
	b.command.Env = append(os.Environ(), env...)
	b.command.Stdout, b.command.Stderr = b.stdout, b.stderr
	if err := b.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = b.command.Wait()
		close(b.ended)
	}()
	t.Cleanup(func() {
		_ = b.command.Process.Kill()
		<-b.ended
		if t.Failed() {
			t.Logf("the bridge's log:\n%s", b.stderr)
		}
	})
	b.stdout.wait(t, "\n")
	return b
}

// status is what the program reported when it was up.
func (b *bridge) status(t testing.TB) (report struct {
	Routes []struct {
		Route, State, Problem string
		Findings              []struct {
			Line, Column int
			Message      string
		}
		Instances []struct {
			Name, Adapter string
			Pid           int
		}
	}
}) {
	t.Helper()
	line, _, _ := strings.Cut(b.stdout.String(), "\n")
	if err := json.Unmarshal([]byte(line), &report); err != nil {
		t.Fatalf("status %q: %v", line, err)
	}
	return report
}

// pid is the process of an instance.
func (b *bridge) pid(t testing.TB, instance string) int {
	t.Helper()
	for _, r := range b.status(t).Routes {
		for _, i := range r.Instances {
			if i.Name == instance {
				return i.Pid
			}
		}
	}
	t.Fatalf("no instance %q in %s", instance, b.stdout)
	return 0
}

// stop ends the program as an operator does and returns its exit code.
func (b *bridge) stop(t testing.TB) int {
	t.Helper()
	if err := b.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-b.ended:
		return b.command.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatal("the bridge does not stop")
		return 0
	}
}

// address is a free one; nothing guards it, so ask late.
func address(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// client is a program of node/ that tells what happens to it as JSON lines.
type client struct {
	t      testing.TB
	name   string
	stdin  *json.Encoder
	lines  chan map[string]any
	stderr *watched
}

// node starts a client with its arguments as one JSON object.
func node(t testing.TB, program string, arguments any) *client {
	t.Helper()
	encoded, err := json.Marshal(arguments)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", program, string(encoded))
	command.Dir = filepath.Join(root(t), "integration", "node")
	c := &client{t: t, name: program, lines: make(chan map[string]any, 100_000), stderr: newWatched()}
	command.Stderr = c.stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin = json.NewEncoder(stdin)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.lines)
		reader := bufio.NewScanner(stdout)
		reader.Buffer(nil, 64<<20)
		for reader.Scan() {
			var line map[string]any
			decoder := json.NewDecoder(bytes.NewReader(reader.Bytes()))
			decoder.UseNumber()
			if decoder.Decode(&line) == nil {
				c.lines <- line
			}
		}
	}()
	t.Cleanup(func() {
		stdin.Close()
		_ = command.Process.Kill()
		<-done
		_ = command.Wait()
		if t.Failed() && c.stderr.String() != "" {
			t.Logf("%s printed:\n%s", program, c.stderr)
		}
	})
	return c
}

// tell sends an order to the client.
func (c *client) tell(order any) {
	c.t.Helper()
	if err := c.stdin.Encode(order); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next line whose "is" is the given one, passing over others.
func (c *client) next(is string) map[string]any {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("%s ended while %q was waited for\n%s", c.name, is, c.stderr)
			}
			if line["is"] == is {
				return line
			}
			if line["is"] == "error" {
				c.t.Fatalf("%s: %v", c.name, line)
			}
		case <-deadline:
			c.t.Fatalf("%s told nothing of %q\n%s", c.name, is, c.stderr)
		}
	}
}

// post pushes a JSON body and returns status and answer.
func post(t testing.TB, url, body string) (int, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	decoder := json.NewDecoder(response.Body)
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		t.Fatalf("answer of %s: %v", url, err)
	}
	return response.StatusCode, answer
}

// crossbarWAMP is a route of the shipped kind on the given addresses.
func crossbarWAMP(push, router string) string {
	return fmt.Sprintf(`
inbound:
  adapter: crossbar-pusher
  config: { listen: %q, path: /push, type: publisher, realm: realm1, role: anonymous }
outbound:
  - adapter: wamp
    config:
      mode: router
      listen: %q
      paths: [/, /ws]
      realms:
        - name: realm1
          roles:
            - name: anonymous
              permissions:
                - { uri: "*", allow: { publish: true, subscribe: true, call: true, register: true } }
`, push, router)
}

// replaceOnce replaces a text that must be there.
func replaceOnce(t testing.TB, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q in\n%s", old, text)
	}
	return strings.Replace(text, old, new, 1)
}
