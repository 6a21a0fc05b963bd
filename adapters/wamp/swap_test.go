package wamp_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/wamp"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/coretest"
	"github.com/pushbridge/bridge/core/inprocess"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/sockets"
	"github.com/pushbridge/bridge/core/state"
)

// swapped is an instance that is replaced while clients are connected.
type swapped struct {
	t       *testing.T
	offered services.Services
	socket  *sockets.Socket
	url     string
}

func newSwapped(t *testing.T) *swapped {
	socket, err := sockets.New().Open(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(socket.Release)
	return &swapped{t: t, socket: socket, url: "ws://" + socket.Bound() + "/ws", offered: services.Services{
		Socket: func(context.Context, string, string) (int, error) { return socket.Descriptor() },
		Peers:  peers.NewRegistry(), State: state.New(),
	}}
}

// open starts a generation, as if in a process of its own.
func (s *swapped) open() *inprocess.Instance {
	s.t.Helper()
	config := strings.ReplaceAll(routerConfig(""), "LISTEN", s.socket.Bound())
	i, err := inprocess.NewProcess(bus.New(), s.offered, coretest.Logger(s.t)).Open(s.t.Context(), wamp.Adapter{}, "test", json.RawMessage(config))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := i.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	return i
}

// retire drains and stops a generation.
func (s *swapped) retire(i *inprocess.Instance) {
	s.t.Helper()
	drain, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	stop, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := errors.Join(i.Drain(drain), i.Stop(stop)); err != nil {
		s.t.Error(err)
	}
}

// traffic is numbered publications: the number of the last one that was begun, and
// whether they are at an end.
type traffic struct {
	begun atomic.Int64
	over  atomic.Bool
}

// publish publishes one number after the other, each until it is acknowledged, and
// joins again when it is sent away.
func (f *traffic) publish(t *testing.T, url string) {
	raw := Join(t, url, "json", "realm1")
	for !f.over.Load() {
		n := f.begun.Add(1)
		for acknowledged := false; !acknowledged; {
			raw.Send(&nexus.Publish{Request: nexus.ID(n), Options: nexus.Dict{"acknowledge": true}, Topic: "t", Arguments: nexus.List{n}})
			msg, err := raw.Read()
			if err != nil {
				t.Error(err)
				return
			}
			if _, acknowledged = msg.(*nexus.Published); !acknowledged {
				answerGoodbye(t, raw, msg)
				raw = Join(t, url, "json", "realm1")
			}
		}
	}
}

func answerGoodbye(t *testing.T, raw *Raw, msg nexus.Message) {
	if _, ok := msg.(*nexus.Goodbye); !ok {
		t.Errorf("got %+v", msg)
	}
	raw.Send(&nexus.Goodbye{Reason: nexus.ErrGoodbyeAndOut})
	raw.Ended()
}

// listen wants each of its sessions to miss nothing between its subscription and
// its end.
func (f *traffic) listen(t *testing.T, url, serializer string) {
	for !f.over.Load() {
		raw := Join(t, url, serializer, "realm1")
		raw.Subscribe("t", "exact")
		before := f.begun.Load() // whatever comes after it was begun after the subscription
		got, last := make(map[int64]bool), before
		for {
			msg, err := raw.Read()
			if err != nil {
				t.Error(err)
				return
			}
			event, ok := msg.(*nexus.Event)
			if !ok {
				answerGoodbye(t, raw, msg)
				break
			}
			n, _ := nexus.AsInt64(event.Arguments[0])
			got[n] = true
			last = max(last, n)
		}
		for n := before + 1; n < last; n++ {
			if !got[n] {
				t.Errorf("publication %d is lost; the session got some from %d to %d", n, before, last)
			}
		}
	}
}

// TestSwap replaces a router while clients publish and listen: nobody who connects
// is refused, and nobody who is subscribed misses anything, whichever generations
// publisher and subscriber are with.
func TestSwap(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	s := newSwapped(t)
	current := s.open()
	var f traffic
	var publisher, listeners sync.WaitGroup
	publisher.Go(func() { f.publish(t, s.url) })
	for n := range 6 {
		listeners.Go(func() { f.listen(t, s.url, []string{"json", "msgpack", "cbor"}[n%3]) })
	}
	for range 5 {
		for until := f.begun.Load() + 200; f.begun.Load() < until && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		next := s.open()
		s.retire(current)
		current = next
	}
	f.over.Store(true)
	publisher.Wait()
	s.retire(current)
	listeners.Wait()
	t.Logf("%d publications", f.begun.Load())
}
