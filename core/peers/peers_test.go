package peers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver tells what it gets.
type receiver struct {
	messages chan Message
	changes  chan []string
	gate     chan struct{} // Receive waits for it, if it is set
}

func newReceiver() *receiver {
	return &receiver{messages: make(chan Message, 10_000), changes: make(chan []string, 100)}
}

func (r *receiver) Receive(ctx context.Context, messages []Message) error {
	if r.gate != nil {
		select {
		case <-r.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for _, m := range messages {
		r.messages <- m
	}
	return nil
}

func (r *receiver) Changed(_ context.Context, peers []string) error {
	r.changes <- peers
	return nil
}

func next[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(10 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

func TestPeersMeetAndTalk(t *testing.T) {
	r := NewRegistry()
	one, two, other := newReceiver(), newReceiver(), newReceiver()
	a := r.Join("x", one)
	defer a.Leave()
	stranger := r.Join("y", other)
	defer stranger.Leave()
	if err := a.Broadcast(context.Background(), [][]byte{[]byte("alone")}); err != nil || len(a.List()) != 0 {
		t.Errorf("%v %v", err, a.List())
	}
	b := r.Join("x", two)
	if peers := next(t, one.changes); len(peers) != 1 || !cmp.Equal(peers, a.List()) {
		t.Errorf("peers %v", peers)
	}
	if peers := next(t, two.changes); len(peers) != 1 || peers[0] == b.List()[0]+"x" {
		t.Errorf("peers %v", peers)
	}
	for n := range 3000 {
		if err := a.Broadcast(context.Background(), [][]byte{[]byte(fmt.Sprint(n))}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 3000 {
		if m := next(t, two.messages); string(m.Data) != fmt.Sprint(n) || m.Peer != b.List()[0] {
			t.Fatalf("message %q from %s, want %d", m.Data, m.Peer, n)
		}
	}
	b.Leave()
	if peers := next(t, one.changes); len(peers) != 0 {
		t.Errorf("peers %v", peers)
	}
	if len(one.messages)+len(other.messages) > 0 {
		t.Error("a message went to its sender or to a stranger")
	}
}

func TestBroadcastWaitsForASlowPeer(t *testing.T) {
	r := NewRegistry()
	slow := newReceiver()
	slow.gate = make(chan struct{})
	a, b := r.Join("x", newReceiver()), r.Join("x", slow)
	defer a.Leave()
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	var err error
	for err == nil {
		err = a.Broadcast(ctx, [][]byte{make([]byte, 1000)})
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	blocked := make(chan error, 1)
	go func() { blocked <- a.Broadcast(context.Background(), [][]byte{make([]byte, 1000)}) }()
	b.Leave() // who waits for it waits no longer
	if err := next(t, blocked); err != nil {
		t.Errorf("error %v", err)
	}
}

// gone is the receiver of an instance that has died.
type gone struct{ *receiver }

func (gone) Receive(context.Context, []Message) error { return errors.New("it is gone") }

// TestBroadcastDoesNotWaitForTheDead fills the queue of a peer that takes nothing
// any more and has not been made to leave yet.
func TestBroadcastDoesNotWaitForTheDead(t *testing.T) {
	r := NewRegistry()
	a, dead := r.Join("x", newReceiver()), r.Join("x", gone{newReceiver()})
	defer a.Leave()
	defer dead.Leave()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for range 3 * queueMessages {
		if err := a.Broadcast(ctx, [][]byte{[]byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
}
