package process

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestOfferAfterTheEnd has a call that was under way come when the process has
// been ended: its descriptor is closed, and nothing else happens.
func TestOfferAfterTheEnd(t *testing.T) {
	folder, err := os.MkdirTemp("", "l") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	h, err := newListenHandover(folder)
	if err != nil {
		t.Fatal(err)
	}
	h.close()
	descriptor, err := syscall.Open(folder, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := h.offer(descriptor); err == nil {
		t.Errorf("token %q", token)
	}
	if err := syscall.Close(descriptor); !errors.Is(err, syscall.EBADF) {
		t.Errorf("the descriptor was left open: %v", err)
	}
}
