package process

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pushbridge/bridge/core/wire/stream"
)

// listenHandover hands listening descriptors to one plugin process, over a unix
// socket in its private folder: gRPC cannot carry them. A token, given out by the
// RPC Listen, says which, once.
type listenHandover struct {
	listener *net.UnixListener
	serving  sync.WaitGroup

	mu      sync.Mutex
	waiting map[string]handover // nil once it is closed
}

// handover is a descriptor that waits to be fetched.
type handover struct {
	descriptor int
	expires    time.Time
}

// handoverTime is how long a descriptor waits, and how long fetching may take.
const handoverTime = 10 * time.Second

func newListenHandover(folder string) (*listenHandover, error) {
	path := filepath.Join(folder, stream.ListenSocket)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen for the plugin's sockets: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	h := &listenHandover{listener: listener, waiting: make(map[string]handover)}
	h.serving.Go(h.serve)
	return h, nil
}

// offer keeps a descriptor for whoever shows the token. It owns the descriptor.
func (h *listenHandover) offer(descriptor int) (token string, err error) {
	token = rand.Text()
	now := time.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil { // a call that came before the end may get here after it
		return "", errors.Join(errors.New("the process is being ended"), syscall.Close(descriptor))
	}
	for old, w := range h.waiting {
		if now.After(w.expires) {
			_ = syscall.Close(w.descriptor)
			delete(h.waiting, old)
		}
	}
	h.waiting[token] = handover{descriptor, now.Add(handoverTime)}
	return token, nil
}

func (h *listenHandover) claim(token string) (descriptor int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.waiting[token]
	delete(h.waiting, token)
	return w.descriptor, ok
}

// serve answers one connection after the other: a plugin opens few sockets, and
// each answer is bounded in time.
func (h *listenHandover) serve() {
	for {
		conn, err := h.listener.AcceptUnix()
		if err != nil {
			return
		}
		_ = h.answer(conn) // the plugin sees a closed connection
		conn.Close()
	}
}

func (h *listenHandover) answer(conn *net.UnixConn) error {
	if err := conn.SetDeadline(time.Now().Add(handoverTime)); err != nil {
		return err
	}
	line, err := bufio.NewReaderSize(conn, 128).ReadString('\n')
	if err != nil {
		return err
	}
	descriptor, ok := h.claim(strings.TrimSuffix(line, "\n"))
	if !ok {
		return errors.New("unknown token")
	}
	defer syscall.Close(descriptor)
	_, _, err = conn.WriteMsgUnix([]byte{0}, syscall.UnixRights(descriptor), nil)
	return err
}

func (h *listenHandover) close() {
	h.listener.Close()
	h.serving.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.waiting {
		_ = syscall.Close(w.descriptor)
	}
	h.waiting = nil
}

// fetch is the way of one descriptor to the plugin: the token to fetch it with.
func (h *hostServer) fetch(ctx context.Context, instance, address string) (token string, err error) {
	if h.services.Socket == nil {
		return "", errors.New("this bridge opens no sockets")
	}
	descriptor, err := h.services.Socket(ctx, instance, address)
	if err != nil {
		return "", err
	}
	return h.handover.offer(descriptor)
}
