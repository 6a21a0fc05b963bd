//go:build integration

package integration

import (
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const sysPidfdOpen = unix.SYS_PIDFD_OPEN

// readable waits until a descriptor is readable.
func readable(t *testing.T, fd uintptr) bool {
	t.Helper()
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience/time.Millisecond))
	return err == nil && n == 1
}

// run runs a command and returns what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}
