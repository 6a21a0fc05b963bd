package core

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

// ListenLocal opens "host:port" or "unix:/path" in this process: what stands
// behind [Host.Listen] where no one else holds the socket. A socket file whose
// server is gone is replaced.
func ListenLocal(ctx context.Context, address string) (net.Listener, error) {
	network := "tcp"
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		network, address = "unix", path
		removeStaleSocket(path)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return listener, nil
}

// removeStaleSocket removes a socket file that nobody answers on.
func removeStaleSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return
	}
	_ = os.Remove(path) // if it stays, Listen says why it cannot be used
}
