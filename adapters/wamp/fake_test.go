package wamp_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"github.com/coder/websocket"
	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// fakeRouter is a router that shows the publications that it takes.
func fakeRouter(t *testing.T, listen string, published chan<- *nexus.Publish) (stop func()) {
	t.Helper()
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done, connections := make(chan struct{}), make(chan struct{}, 10)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections <- struct{}{}
		defer func() { <-connections }()
		serveFake(ctx, w, r, published)
	})}
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return func() {
		cancel()
		server.Close()
		<-done
		for range cap(connections) { // until every connection is gone
			connections <- struct{}{}
		}
	}
}

func serveFake(ctx context.Context, w http.ResponseWriter, r *http.Request, published chan<- *nexus.Publish) {
	c := codec.Named("json")
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{c.Subprotocol()}})
	if err != nil {
		return
	}
	defer ws.CloseNow()
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		msg, err := c.Decode(data)
		if err != nil {
			return
		}
		var reply nexus.Message
		switch msg := msg.(type) {
		case *nexus.Hello:
			reply = &nexus.Welcome{ID: 1, Details: nexus.Dict{"roles": nexus.Dict{"broker": nexus.Dict{}}}}
		case *nexus.Publish:
			published <- msg
			reply = &nexus.Published{Request: msg.Request, Publication: nexus.GlobalID()}
		case *nexus.Goodbye:
			reply = &nexus.Goodbye{Reason: nexus.ErrGoodbyeAndOut}
		default:
			continue
		}
		data, _ = c.Encode(reply)
		if ws.Write(ctx, websocket.MessageText, data) != nil {
			return
		}
	}
}
