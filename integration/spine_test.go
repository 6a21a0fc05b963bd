//go:build integration

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	nexus "github.com/gammazero/nexus/v3/client"
	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
)

// The publication id that the pusher answers is the one that subscribers see, in
// every serializer.
func TestPushReachesAutobahn(t *testing.T) {
	push, router := address(t), address(t)
	b := serve(t, map[string]string{"10-crossbar-wamp.yaml": crossbarWAMP(push, router)})
	for _, serializer := range []string{"json", "msgpack", "cbor"} {
		t.Run(serializer, func(t *testing.T) {
			c := node(t, "wamp.js", map[string]any{"url": "ws://" + router + "/ws", "serializer": serializer, "topics": []string{"com.myapp.topic1"}})
			c.next("subscribed")
			status, answer := post(t, "http://"+push+"/push", `{"topic":"com.myapp.topic1","args":["Hello, world!",23,{"deep":[1.5,null,true]}],"kwargs":{"ü":"ä"}}`)
			if status != 200 || answer["id"] == nil {
				t.Fatalf("%d %v", status, answer)
			}
			event := c.next("event")
			if fmt.Sprint(event["publication"]) != fmt.Sprint(answer["id"]) {
				t.Errorf("the subscriber saw publication %v, the pusher answered %v", event["publication"], answer["id"])
			}
			if got := fmt.Sprint(event["args"], event["kwargs"]); got != "[Hello, world! 23 map[deep:[1.5 <nil> true]]] map[ü:ä]" {
				t.Errorf("event %s", got)
			}
		})
	}
	if code := b.stop(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

func TestPushReachesNexusClient(t *testing.T) {
	push, router := address(t), address(t)
	serve(t, map[string]string{"10-crossbar-wamp.yaml": crossbarWAMP(push, router)})
	for name, serializer := range map[string]serialize.Serialization{"json": nexus.JSON, "msgpack": nexus.MSGPACK, "cbor": nexus.CBOR} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			c, err := nexus.ConnectNet(ctx, "ws://"+router+"/", nexus.Config{Realm: "realm1", Serialization: serializer})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			events := make(chan *wamp.Event, 1)
			if err := c.Subscribe("com.myapp", func(e *wamp.Event) { events <- e }, wamp.Dict{"match": "prefix"}); err != nil {
				t.Fatal(err)
			}
			_, answer := post(t, "http://"+push+"/push", `{"topic":"com.myapp.topic1","args":["x"]}`)
			select {
			case e := <-events:
				if fmt.Sprint(e.Publication) != fmt.Sprint(answer["id"]) || e.Details["topic"] == nil {
					t.Errorf("event %+v, answer %v", e, answer)
				}
			case <-ctx.Done():
				t.Fatal("no event")
			}
		})
	}
}

// Two processes accept on the ports, beside the bridge, which keeps them open; one
// can be killed and the other goes on, and the port with the next.
func TestAdaptersAreProcessesOfTheirOwn(t *testing.T) {
	push, router := address(t), address(t)
	b := serve(t, map[string]string{"10-crossbar-wamp.yaml": crossbarWAMP(push, router)})
	source, sink := b.pid(t, "crossbar-wamp.crossbar-pusher"), b.pid(t, "crossbar-wamp.wamp")
	if source == sink || source == b.command.Process.Pid || sink == b.command.Process.Pid || source == 0 || sink == 0 {
		t.Fatalf("bridge %d, source %d, sink %d", b.command.Process.Pid, source, sink)
	}
	for pid, at := range map[int]string{source: push, sink: router} {
		if !listens(t, pid, at) {
			t.Errorf("process %d does not listen on %s", pid, at)
		}
	}
	c := node(t, "wamp.js", map[string]any{"url": "ws://" + router + "/ws", "topics": []string{"t.a"}})
	c.next("subscribed")
	if err := syscall.Kill(source, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.stderr.wait(t, "a plugin failed and is started again")
	c.tell(map[string]any{"publish": "t.a", "args": []any{1}, "options": map[string]any{"exclude_me": false}})
	c.next("event")
	if status, answer := post(t, "http://"+push+"/push", `{"topic":"t.a","args":[2]}`); status/100 != 2 {
		t.Errorf("push after the death: %d %v", status, answer)
	}
	c.next("event")
}

// listens reports whether a process has a listening socket at the address.
func listens(t *testing.T, pid int, at string) bool {
	t.Helper()
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		t.Fatal(err)
	}
	inode := ""
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 9 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) && fields[3] == "0A" {
			inode = fields[9]
		}
	}
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range descriptors {
		if target, err := os.Readlink(fd); err == nil && inode != "" && target == "socket:["+inode+"]" {
			return true
		}
	}
	return false
}

// A bridge that is killed leaves no plugin behind: their ports become free. The
// test waits for that by binding them.
func TestKilledBridgeLeavesNothing(t *testing.T) {
	push, router := address(t), address(t)
	b := serve(t, map[string]string{"10-crossbar-wamp.yaml": crossbarWAMP(push, router)})
	var pids []int
	for _, i := range b.status(t).Routes[0].Instances {
		pids = append(pids, i.Pid)
	}
	if err := b.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	for _, pid := range pids {
		waitGone(t, pid)
	}
	// Its folder is removed by the next bridge.
	next := serve(t, map[string]string{"10-crossbar-wamp.yaml": crossbarWAMP(push, router)})
	if state := next.status(t).Routes[0].State; state != "ready" {
		t.Errorf("state %s", state)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("bridge-%d-*", b.command.Process.Pid)))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// waitGone waits until a process that is no child of ours has ended.
func waitGone(t *testing.T, pid int) {
	t.Helper()
	fd, _, errno := syscall.Syscall(sysPidfdOpen, uintptr(pid), 0, 0)
	if errno == syscall.ESRCH {
		return
	}
	if errno != 0 {
		t.Fatalf("pidfd of %d: %v", pid, errno)
	}
	// A pidfd becomes readable when its process ends.
	f := os.NewFile(fd, "pidfd")
	defer f.Close()
	if !readable(t, fd) {
		t.Errorf("process %d is still there", pid)
	}
}

// Broken files are named with their place; the others serve.
func TestBrokenFilesHarmNoOther(t *testing.T) {
	push, router := address(t), address(t)
	b := serve(t, map[string]string{
		"10-good.yaml":    crossbarWAMP(push, router),
		"20-syntax.yaml":  "inbound: [\n",
		"30-key.yaml":     "inbound:\n  adapter: crossbar-pusher\n  config: { listen: \"127.0.0.1:1\", realm: r, role: r, pth: /x }\n",
		"40-adapter.yaml": "inbound:\n  adapter: carrier-pigeon\n",
		"50-address.yaml": strings.Replace(crossbarWAMP(push, address(t)), "/push", "/other", 1),
	})
	states := make(map[string]string)
	for _, r := range b.status(t).Routes {
		states[r.Route] = r.State
		if r.State == "failed" && (len(r.Findings) == 0 || r.Findings[0].Line == 0) {
			t.Errorf("%s has no finding with a place: %+v", r.Route, r.Findings)
		}
	}
	want := map[string]string{"good": "ready", "syntax": "failed", "key": "failed", "adapter": "failed", "address": "failed"}
	if fmt.Sprint(states) != fmt.Sprint(want) {
		t.Errorf("states %v", states)
	}
	if status, _ := post(t, "http://"+push+"/push", `{"topic":"a.b"}`); status != 200 {
		t.Errorf("the good route answers %d", status)
	}
}

// One port, two adapters, by path, in one process.
func TestSharedPort(t *testing.T) {
	at := address(t)
	file := strings.ReplaceAll(crossbarWAMP(at, at), "adapter: ", "process: web\n  adapter: ")
	file = strings.Replace(file, "- process: web\n  adapter", "- process: web\n    adapter", 1)
	file = strings.Replace(file, "paths: [/, /ws]", "paths: [/ws]", 1)
	b := serve(t, map[string]string{"10-web.yaml": file})
	if b.pid(t, "web.crossbar-pusher") != b.pid(t, "web.wamp") {
		t.Error("the instances do not share a process")
	}
	c := node(t, "wamp.js", map[string]any{"url": "ws://" + at + "/ws", "topics": []string{"a.b"}})
	c.next("subscribed")
	if status, answer := post(t, "http://"+at+"/push", `{"topic":"a.b"}`); status != 200 {
		t.Errorf("%d %v", status, answer)
	}
	c.next("event")
}

// A signed request that `bridge sign` makes is accepted once.
func TestSignedPush(t *testing.T) {
	push, router := address(t), address(t)
	file := strings.Replace(crossbarWAMP(push, router), "role: anonymous }", `role: anonymous, key: app, secret: "${env:BRIDGE_TEST_SECRET}" }`, 1)
	b := serve(t, map[string]string{"10-signed.yaml": file}, "BRIDGE_TEST_SECRET=s3cret")
	url := "http://" + push + "/push"
	if status, _ := post(t, url, `{"topic":"a.b"}`); status != 400 {
		t.Errorf("unsigned: status %d", status)
	}
	line := run(t, binary(t), "sign", "crossbar-pusher", url, "--key", "app", "--secret", "s3cret", "--topic", "a.b", "--args", `["it's"]`)
	var answer map[string]json.Number
	if err := json.Unmarshal([]byte(run(t, "sh", "-c", strings.TrimSpace(line)+" -s")), &answer); err != nil || answer["id"] == "" {
		t.Errorf("answer %v, %v", answer, err)
	}
	if again := run(t, "sh", "-c", strings.TrimSpace(line)+" -s"); !strings.Contains(again, "replayed") {
		t.Errorf("the same request again: %s", again)
	}
	if strings.Contains(b.stderr.String()+b.stdout.String(), "s3cret") {
		t.Error("the secret is in the output")
	}
}
