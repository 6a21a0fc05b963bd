package wsout

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// direct writes to sockets without waiting. Its closure is made once because it
// would be allocated for each write otherwise. One goroutine uses it at a time.
type direct struct {
	data []byte
	n    int
	err  error
	try  func(fd uintptr) bool
}

func newDirect() *direct {
	d := new(direct)
	d.try = func(fd uintptr) bool {
		for {
			d.n, d.err = syscall.Write(int(fd), d.data)
			if !errors.Is(d.err, syscall.EINTR) {
				return true // also when it would block: nothing here waits
			}
		}
	}
	return d
}

// write writes what the socket takes at once, which may be nothing.
func (d *direct) write(socket syscall.RawConn, data []byte) (int, error) {
	d.data = data
	err := socket.Write(d.try)
	d.data = nil
	switch {
	case err != nil:
		return 0, err
	case d.err == nil:
		return d.n, nil
	case errors.Is(d.err, syscall.EAGAIN):
		return 0, nil
	}
	return 0, d.err
}

// socketOf is the socket of a connection, if writing to the socket is the same
// as writing to the connection; else nil.
func socketOf(conn net.Conn) syscall.RawConn {
	switch conn = transparent(conn); conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		if raw, err := conn.(syscall.Conn).SyscallConn(); err == nil {
			return raw
		}
	}
	return nil
}

// transparent looks through wrappers that show what they wrap by NetConn, as a
// listener that counts has them. TLS shows it too but is none.
func transparent(conn net.Conn) net.Conn {
	for {
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if _, secured := conn.(*tls.Conn); secured || !ok {
			return conn
		}
		conn = wrapper.NetConn()
	}
}
