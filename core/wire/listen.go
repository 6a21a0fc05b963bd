package wire

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// fetchTimeout bounds the way of a descriptor if the caller's context does not.
const fetchTimeout = 10 * time.Second

// Listen implements core.Host: the bridge has opened the socket and hands over a
// descriptor of it.
func (h *host) Listen(ctx context.Context, address string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	reply, err := h.client.Listen(ctx, &bridgev1.ListenRequest{Instance: h.name, Address: address})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, stream.FromStatus(err))
	}
	descriptor, err := fetch(ctx, filepath.Join(filepath.Dir(h.socket), stream.ListenSocket), reply.GetToken())
	if err != nil {
		return nil, fmt.Errorf("listen on %s: take the socket over: %w", address, err)
	}
	file := os.NewFile(uintptr(descriptor), address)
	defer file.Close() // the listener has a descriptor of its own
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: take the socket over: %w", address, err)
	}
	return listener, nil
}

// fetch shows the token and receives the descriptor.
func fetch(ctx context.Context, socket, token string) (int, error) {
	var dialer net.Dialer
	dialed, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return -1, err
	}
	defer dialed.Close()
	conn := dialed.(*net.UnixConn)
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return -1, err
		}
	}
	if _, err := conn.Write([]byte(token + "\n")); err != nil {
		return -1, err
	}
	rights := make([]byte, syscall.CmsgSpace(4)) // one descriptor
	_, n, _, _, err := conn.ReadMsgUnix(make([]byte, 1), rights)
	if err != nil {
		return -1, err
	}
	messages, err := syscall.ParseSocketControlMessage(rights[:n])
	if err != nil {
		return -1, err
	}
	for _, m := range messages {
		if descriptors, err := syscall.ParseUnixRights(&m); err == nil && len(descriptors) == 1 {
			syscall.CloseOnExec(descriptors[0])
			return descriptors[0], nil
		}
	}
	return -1, fmt.Errorf("the bridge sent no descriptor")
}
