package crossbar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// socketHost is the host of one generation: all have the same kernel socket.
type socketHost struct {
	*coretest.Host
	socket *net.TCPListener
}

// Listen implements core.Host.
func (h socketHost) Listen(context.Context, string) (net.Listener, error) {
	file, err := h.socket.File()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return net.FileListener(file)
}

// TestGenerationsLoseNothing replaces an instance again and again under load: each
// request is answered with success, and published once.
func TestGenerationsLoseNothing(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var accepted atomic.Int64
	topics := sync.Map{}
	open := func() core.Instance {
		host := socketHost{coretest.NewHost(t), listener.(*net.TCPListener)}
		host.OnPublish = func(_ context.Context, p core.Publication) ([]core.Receipt, error) {
			if _, again := topics.LoadOrStore(p.Events[0].Topic, true); again {
				t.Errorf("%s is published twice", p.Events[0].Topic)
			}
			return nil, nil
		}
		instance, err := Adapter{}.Open(t.Context(), "test", settingsOf(t), host)
		if err != nil {
			t.Fatal(err)
		}
		if err := instance.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return instance
	}
	var over atomic.Bool
	var clients sync.WaitGroup
	for n := range 8 {
		clients.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
			for k := 0; !over.Load(); k++ {
				text := fmt.Sprintf(`{"topic":"client%d.n%d"}`, n, k)
				body := struct{ io.Reader }{strings.NewReader(text)} // net/http cannot repeat it
				response, err := client.Post("http://"+listener.Addr().String()+"/push", "application/json", body)
				if err != nil {
					t.Errorf("%s: %v", text, err)
					return
				}
				_, err = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if err != nil || response.StatusCode != http.StatusAccepted {
					t.Errorf("%s: %s, %v", text, response.Status, err)
					return
				}
				accepted.Add(1)
			}
		})
	}
	current := open()
	for range 20 {
		for until := accepted.Load() + 100; accepted.Load() < until && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		next := open()
		retire(t, current)
		current = next
	}
	over.Store(true)
	clients.Wait()
	retire(t, current)
	published := 0
	topics.Range(func(any, any) bool { published++; return true })
	if int64(published) != accepted.Load() {
		t.Errorf("%d requests were accepted, %d published", accepted.Load(), published)
	}
}

func retire(t *testing.T, i core.Instance) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := errors.Join(i.(core.Drainer).Drain(ctx), i.Stop(ctx)); err != nil {
		t.Error(err)
	}
}
