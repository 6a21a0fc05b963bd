package sockets

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

// listener makes a listener of a descriptor, as a plugin does.
func listener(t *testing.T, k *Socket) net.Listener {
	t.Helper()
	fd, err := k.Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "socket")
	defer file.Close()
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, k *Socket) net.Conn {
	t.Helper()
	network, address := "tcp", k.Bound()
	if k.path != "" {
		network, address = "unix", k.path
	}
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func greet(t *testing.T, l net.Listener) {
	t.Helper()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
}

func wantGreeting(t *testing.T, conn net.Conn) {
	t.Helper()
	if data, err := io.ReadAll(conn); err != nil || string(data) != "hello" {
		t.Errorf("%q %v", data, err)
	}
}

func addresses(t *testing.T) map[string]string {
	return map[string]string{"tcp": "127.0.0.1:0", "unix": "unix:" + filepath.Join(t.TempDir(), "s")}
}

// A connection that comes while nobody accepts waits for who comes next.
func TestConnectionsWait(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			set := New()
			k, err := set.Open(ctx, address)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Release()
			first := listener(t, k)
			first.Close() // a plugin has died
			conn := dial(t, k)
			second := listener(t, k)
			defer second.Close()
			greet(t, second)
			wantGreeting(t, conn)
		})
	}
}

func TestRefuse(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			k, err := New().Open(ctx, address)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Release()
			waiting := dial(t, k)
			for range 2 {
				if err := k.Refuse(); err != nil {
					t.Fatal(err)
				}
			}
			for _, conn := range []net.Conn{waiting, dial(t, k)} {
				if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
					t.Errorf("a refused connection reads %v", err)
				}
			}
			k.Hold()
			conn := dial(t, k)
			l := listener(t, k)
			defer l.Close()
			greet(t, l)
			wantGreeting(t, conn)
		})
	}
}

func TestUsers(t *testing.T) {
	for name, address := range addresses(t) {
		t.Run(name, func(t *testing.T) {
			set := New()
			k, err := set.Open(ctx, address)
			if err != nil {
				t.Fatal(err)
			}
			if k.path == "" { // port 0 is another port each time
				k.Release()
				if k, err = set.Open(ctx, k.Bound()); err != nil {
					t.Fatal(err)
				}
			}
			again, err := set.Open(ctx, k.address)
			if err != nil || again.shared != k.shared {
				t.Fatalf("%p %p %v", k.shared, again.shared, err)
			}
			k.Release()
			dial(t, again)
			if err := again.Refuse(); err != nil {
				t.Fatal(err)
			}
			again.Release()
			if _, err := k.Descriptor(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("error %v", err)
			}
			if len(set.open) != 0 {
				t.Errorf("%v is still open", set.open)
			}
			if k.path != "" {
				if _, err := os.Stat(k.path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the socket file is left: %v", err)
				}
			}
		})
	}
}

// A user that has given up must not take the connections of one that has not.
func TestRefuseTakesAll(t *testing.T) {
	set := New()
	given, err := set.Open(ctx, "unix:"+filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	if err := given.Refuse(); err != nil {
		t.Fatal(err)
	}
	next, err := set.Open(ctx, given.address)
	if err != nil {
		t.Fatal(err)
	}
	if err := given.Refuse(); err != nil { // it has failed once more meanwhile
		t.Fatal(err)
	}
	conn := dial(t, next)
	l := listener(t, next)
	greet(t, l)
	wantGreeting(t, conn)
	l.Close()
	next.Release()
	if _, err := dial(t, given).Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("a connection reads %v once nobody is left who would serve it", err)
	}
	given.Release()
}

func TestTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	set := New()
	if _, err := set.Open(ctx, l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v", err)
	}
	if len(set.open) != 0 {
		t.Error("a socket that could not be opened is kept")
	}
}
