//go:build linux

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// An event is found again in the frame of any server, whole frames only.
func TestEventThroughFrame(t *testing.T) {
	due := time.Unix(1700000000, 123456789)
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) { testEventThroughFrame(t, p, due) })
	}
}

func testEventThroughFrame(t *testing.T, p protocol, due time.Time) {
	payload, err := p.payloadOf(p.appendBody(nil, 4711, due))
	if err != nil {
		t.Fatal(err)
	}
	stream := appendFrame(nil, opcodePing, nil, false)
	stream = appendFrame(stream, opcodeText, payload, false)
	whole, ok := firstFrame(stream)
	if !ok || whole.opcode != opcodePing || whole.size != 2 {
		t.Fatalf("%+v %v", whole, ok)
	}
	stream = stream[whole.size:]
	for cut := range stream {
		if f, ok := firstFrame(stream[:cut]); ok {
			t.Fatalf("%d of %d bytes are a frame: %+v", cut, len(stream), f)
		}
	}
	f, ok := firstFrame(stream)
	if !ok || f.opcode != opcodeText || f.size != len(stream) || !bytes.Equal(f.payload, payload) {
		t.Fatalf("%+v %v", f, ok)
	}
	number, at, err := readMark(f.payload)
	if err != nil || number != 4711 || at != due.UnixNano() {
		t.Errorf("%d %d %v", number, at, err)
	}
	if _, _, err := readMark(f.payload[:20]); err == nil {
		t.Error("half a mark was read")
	}
}

// A report tells losses and doubles from each other.
func TestReportCounts(t *testing.T) {
	a, b := new(socket), new(socket)
	r := &reception{sockets: []*socket{a, b}}
	take := func(s *socket, numbers ...int) {
		for _, n := range numbers {
			message := appendFrame(nil, opcodeText, pusher().appendBody(nil, n, time.Now()), false)
			f, _ := firstFrame(message)
			if err := r.take(s, f, time.Now().UnixNano()); err != nil {
				t.Fatal(err)
			}
		}
	}
	take(a, 0, 64, 1, 1, 2, 70)
	take(b, 0, 1, 2)
	for n := 3; n < 64; n++ {
		take(a, n)
		take(b, n)
	}
	got := r.result(65)
	if got.Deliveries != 2*65 || got.Lost != 1 || got.Doubled != 1 || got.Unexpected != 1 {
		t.Errorf("%+v", got)
	}
	if got := r.result(0); got.Deliveries != 0 || got.Unexpected != 0 || a.below(100) != 0 {
		t.Errorf("the next phase begins with %+v", got)
	}
}

func TestShippedRouteInOneProcess(t *testing.T) {
	data, err := os.ReadFile("../../conf.d/" + crossbarToWAMP().route)
	if err != nil {
		t.Fatal(err)
	}
	ports := make(map[string]string)
	text, err := movePorts(string(data), ports)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "127.0.0.1:8080") || strings.Count(text, "127.0.0.1:"+ports["8080"]) != strings.Count(string(data), "127.0.0.1:8080") {
		t.Errorf("ports %v in\n%s", ports, text)
	}
	text, err = inOneProcess(text)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text, "\n")
	if !slices.Contains(lines, "  isolation: none") || !slices.Contains(lines, "    isolation: none") {
		t.Errorf("not isolated:\n%s", text)
	}
}

// Copies of a route share no port.
func TestCopiesOfRoute(t *testing.T) {
	const copies = 50
	dir := filepath.Join(t.TempDir(), "conf.d")
	if err := copyRoute("../../conf.d/"+crossbarToWAMP().route, dir, copies, nil); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != copies {
		t.Fatalf("%d files, %v", len(files), err)
	}
	owner := make(map[string]string) // of an address
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(dir, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindAllString(string(text), -1)
		if len(found) < 2 {
			t.Errorf("%s has the addresses %v", file.Name(), found)
		}
		for _, address := range found {
			if other := owner[address]; other != "" && other != file.Name() {
				t.Errorf("%s and %s have %s", other, file.Name(), address)
			}
			owner[address] = file.Name()
		}
	}
}
