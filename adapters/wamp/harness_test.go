package wamp_test

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/wamp"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// instance is an opened instance with what tests ask of it.
type instance struct {
	core.Instance
	t    testing.TB
	host *coretest.Host
	url  string // of a router
}

// open opens and starts an instance. LISTEN in the configuration becomes a free
// address.
func open(t testing.TB, config string) *instance {
	t.Helper()
	return openOn(t, freeAddress(t), config)
}

func openOn(t testing.TB, listen, config string) *instance {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	config = strings.ReplaceAll(config, "LISTEN", listen)
	host := coretest.NewHost(t)
	opened, err := wamp.Adapter{}.Open(t.Context(), "test", json.RawMessage(config), host)
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{Instance: opened, t: t, host: host, url: "ws://" + listen + "/ws"}
	t.Cleanup(func() {
		i.stop()
		if !t.Failed() {
			goleak.VerifyNone(t, leaks)
		}
	})
	if err := i.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *instance) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := i.Stop(ctx); err != nil {
		i.t.Error(err)
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// deliver hands events over and returns their receipts.
func (i *instance) deliver(events ...core.Event) []core.Receipt {
	i.t.Helper()
	receipts := make([]core.Receipt, len(events))
	answered := make(chan struct{}, len(events))
	batch := core.NewBatch(events, func(first, count int, receipt core.Receipt) {
		for n := first; n < first+count; n++ {
			receipts[n] = receipt
			answered <- struct{}{}
		}
	})
	if err := i.Instance.(core.Sink).Deliver(context.Background(), batch); err != nil {
		i.t.Fatal(err)
	}
	timeout := time.After(Patience)
	for range events {
		select {
		case <-answered:
		case <-timeout:
			i.t.Fatal("an event has no answer")
		}
	}
	return receipts
}

// accepted delivers one event, which must be accepted, and returns its id.
func (i *instance) accepted(event core.Event) string {
	i.t.Helper()
	receipt := i.deliver(event)[0]
	if receipt.Err != nil || receipt.ID == "" {
		i.t.Fatalf("%+v: receipt %+v", event, receipt)
	}
	return receipt.ID
}

// authorize asks whether a role may publish.
func (i *instance) authorize(space, topic, role string) core.Answer {
	i.t.Helper()
	call, err := core.NewCall(core.OpPublishAuthorize, space, topic, core.AuthorizeParams{Role: role})
	if err != nil {
		i.t.Fatal(err)
	}
	return i.Instance.(core.Answerer).Answer(context.Background(), call)
}

// routerConfig is a router with one open realm, and more keys.
func routerConfig(more string) string {
	return `{"mode": "router", "listen": "LISTEN", "realms": [{"name": "realm1", "roles": [{"name": "anonymous", "permissions": [
		{"uri": "*", "allow": {"publish": true, "subscribe": true, "call": true, "register": true}}]}]}]` + more + `}`
}
