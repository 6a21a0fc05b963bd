// Package sockets opens the addresses that routes listen on and keeps them open
// while the plugins behind them come and go: a plugin gets a descriptor of the
// same socket, so clients of one that has crashed wait in the kernel's queue for
// its successor, and two generations of one instance can accept side by side.
//
// The bridge itself never accepts on a socket, but for the time in which nobody
// else will: [Socket.Refuse].
package sockets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/pushbridge/bridge/core"
)

// Sockets are the open sockets by address. Its methods may be called from any
// goroutine.
type Sockets struct {
	mu   sync.Mutex
	open map[string]*shared
}

// New returns an empty set.
func New() *Sockets { return &Sockets{open: make(map[string]*shared)} }

// Socket is one user's hold on an open listening socket, which it releases once.
type Socket struct {
	*shared
	refuses bool // guarded by shared.mu
}

// shared is an open listening socket with all its users.
type shared struct {
	set     *Sockets
	address string
	bound   string
	path    string // of a unix socket

	mu    sync.Mutex // taken after set.mu
	users []*Socket
	// fd is not known to the runtime's poller: this process does not want to be
	// woken for connections that others accept.
	fd   int
	stop func() // ends the refusing; nil while connections wait
}

// Open opens "host:port" or "unix:/path", or takes part in the socket that is open
// there already. Port 0 is another port each time.
func (s *Sockets) Open(ctx context.Context, address string) (*Socket, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open := s.open[address]; open != nil && !strings.HasSuffix(address, ":0") {
		return open.join(), nil
	}
	listener, err := core.ListenLocal(ctx, address)
	if err != nil {
		return nil, err
	}
	opened := &shared{set: s, address: address, bound: listener.Addr().String()}
	if unixListener, ok := listener.(*net.UnixListener); ok {
		unixListener.SetUnlinkOnClose(false)
		opened.path, _ = strings.CutPrefix(address, "unix:")
		opened.bound = address
	}
	opened.fd, err = duplicate(listener)
	if closeErr := listener.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("keep %s open: %w", address, err)
	}
	s.open[address] = opened
	return opened.join(), nil
}

// join adds a user: connections wait for it, whatever the others want.
func (k *shared) join() *Socket {
	k.mu.Lock()
	defer k.mu.Unlock()
	user := &Socket{shared: k}
	k.users = append(k.users, user)
	k.hold()
	return user
}

// duplicate returns a descriptor of the listener's socket that the runtime does
// not know.
func duplicate(listener net.Listener) (int, error) {
	raw, ok := listener.(syscall.Conn)
	if !ok {
		return -1, errors.New("this listener has no descriptor")
	}
	conn, err := raw.SyscallConn()
	if err != nil {
		return -1, err
	}
	duplicated := -1
	controlErr := conn.Control(func(fd uintptr) { duplicated, err = dupCloseOnExec(int(fd)) })
	return duplicated, errors.Join(controlErr, err)
}

func dupCloseOnExec(fd int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	duplicated, err := syscall.Dup(fd)
	if err == nil {
		syscall.CloseOnExec(duplicated)
	}
	return duplicated, os.NewSyscallError("dup", err)
}

// Bound is where the socket is bound: the address with its real port.
func (k *shared) Bound() string { return k.bound }

// Descriptor returns a new descriptor of the socket, which the caller closes.
func (k *shared) Descriptor() (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fd < 0 {
		return -1, net.ErrClosed
	}
	return dupCloseOnExec(k.fd)
}

// Release gives up this user's hold. The last one closes the socket; connections
// that wait in it are reset.
func (k *Socket) Release() {
	k.set.mu.Lock()
	defer k.set.mu.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users = slices.DeleteFunc(k.users, func(user *Socket) bool { return user == k })
	if len(k.users) > 0 {
		_ = k.refuseIfAll() // else connections wait, as they did
		return
	}
	if k.set.open[k.address] == k.shared {
		delete(k.set.open, k.address)
	}
	k.hold()
	_ = syscall.Close(k.fd)
	k.fd = -1
	if k.path != "" {
		_ = os.Remove(k.path)
	}
}

// Refuse accepts connections and closes them at once, those that wait already
// too, until Hold: for as long as nobody will serve them. It takes all users of
// the socket to say so.
func (k *Socket) Refuse() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuses = true
	return k.refuseIfAll()
}

// Hold ends Refuse: connections wait again.
func (k *Socket) Hold() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuses = false
	k.hold()
}

// refuseIfAll begins to refuse if every user wants that. The lock is held.
func (k *shared) refuseIfAll() error {
	waits := slices.ContainsFunc(k.users, func(user *Socket) bool { return !user.refuses })
	if waits || k.stop != nil || k.fd < 0 {
		return nil
	}
	fd, err := dupCloseOnExec(k.fd)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), k.address)
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		return fmt.Errorf("refuse connections on %s: %w", k.address, err)
	}
	var refusing sync.WaitGroup
	refusing.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	})
	k.stop = func() {
		listener.Close()
		refusing.Wait()
	}
	return nil
}

// hold stops refusing. The lock is held.
func (k *shared) hold() {
	if k.stop != nil {
		k.stop()
		k.stop = nil
	}
}
