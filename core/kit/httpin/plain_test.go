package httpin

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
)

// TestTLSOnPlainPort speaks TLS to a listener without: the log says so, once.
func TestTLSOnPlainPort(t *testing.T) {
	noLeaks(t)
	host := newTestHost(t)
	e := startEndpoint(t, host, configOf(t, anyPort), "/a", saying("a"))
	want(t, newClient(t), "http://"+e.Addr().String()+"/a", 200, "a")
	if log := host.logged(); strings.Contains(log, "TLS") {
		t.Errorf("plain HTTP is taken for TLS: %s", log)
	}
	for range 3 {
		conn, err := net.Dial("tcp", e.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if err := tls.Client(conn, &tls.Config{ServerName: "x"}).HandshakeContext(t.Context()); err == nil {
			t.Error("a TLS handshake succeeded")
		}
		conn.Close()
	}
	if log := host.logged(); strings.Count(log, "a client speaks TLS") != 1 || !strings.Contains(log, "level=WARN") {
		t.Errorf("log: %s", log)
	}
}

// TestNoRedirects answers 404 for paths that are not clean.
func TestNoRedirects(t *testing.T) {
	noLeaks(t)
	e := startEndpoint(t, newTestHost(t), configOf(t, anyPort), "/a/", saying("a"))
	client := newClient(t)
	for path, status := range map[string]int{"/a/": 200, "/a/b/": 200, "/a/b": 200, "//a/": 404, "/a//b": 404, "/a/./b": 404, "/a/b/..": 404, "/a/..b": 200} {
		if got, _ := get(client, "http://"+e.Addr().String()+path); got != status {
			t.Errorf("%s: status %d, want %d", path, got, status)
		}
	}
}
