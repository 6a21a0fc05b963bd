//go:build linux

package main

import (
	"crypto/md5"
	"encoding/hex"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
)

// The signature of a push is that of its query as a server reads it.
func TestSignedPush(t *testing.T) {
	p := pusher()
	body := p.appendBody(nil, 1, time.Now())
	path, query, _ := strings.Cut(p.target("POST", body), "?")
	if path != "/apps/"+pusherApp+"/events" {
		t.Errorf("path %s", path)
	}
	q := signature.ParseQuery(query)
	if text := q.AppendStringToSign(nil, "POST", path); !signature.NewSecret(pusherSecret).Verify(q.Get(signature.ParameterSignature), text) {
		t.Errorf("the signature in %s is not that of %q", query, text)
	}
	if digest := md5.Sum(body); q.Get(signature.ParameterBodyMD5) != hex.EncodeToString(digest[:]) {
		t.Errorf("no digest of the body in %s", query)
	}
}

// The app that is pushed to is one of the shipped route.
func TestShippedApp(t *testing.T) {
	data, err := os.ReadFile("../../conf.d/" + pusher().route)
	if err != nil {
		t.Fatal(err)
	}
	if app := "{ id: " + pusherApp + ", key: " + pusherKey + ", secret: " + pusherSecret + ","; !strings.Contains(string(data), app) {
		t.Errorf("%s is not in\n%s", app, data)
	}
}

// A subscriber joins step by step, answers the protocol's ping, and counts neither.
func TestSubscriberOfPusher(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p, heard := pusher(), make(chan string, 3) // the handshake, the subscription, the pong
	go func() {
		defer close(heard)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for _, say := range []string{
			"HTTP/1.1 101 Switching Protocols\r\n\r\n" + string(appendFrame(nil, opcodeText, []byte(p.join[0].want+`,"data":"{}"}`), false)),
			string(appendFrame(nil, opcodeText, []byte(p.join[1].want+`,"data":"{}"}`), false)),
			"",
		} {
			buffer := make([]byte, 4096)
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			heard <- string(buffer[:n])
			if _, err := conn.Write([]byte(say)); err != nil {
				return
			}
		}
	}()
	s, err := openSocket(listener.Addr().String(), p.path, p.join)
	if err != nil {
		t.Fatal(err)
	}
	defer s.file.Close()
	r := &reception{protocol: p, sockets: []*socket{s}}
	if err := r.take(s, frame{opcode: opcodeText, payload: []byte(p.ping + `,"data":{}}`)}, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"GET " + p.path + " HTTP/1.1\r\n", p.join[1].say, p.pong} {
		if got := <-heard; !strings.Contains(got, want) {
			t.Errorf("the server heard %q instead of %q", got, want)
		}
	}
	if r.report.Deliveries != 0 {
		t.Errorf("%+v", r.report)
	}
}
