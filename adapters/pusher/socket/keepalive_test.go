package socket

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/core/kit/settings"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// TestKeepAlive has a client that answers pings of the protocol, one that answers
// ping frames, and one that answers nothing.
func TestKeepAlive(t *testing.T) {
	c := &app.Config{ActivityTimeout: settings.Duration(120 * time.Second), Limits: app.Limits{Frame: 1000}}
	real := socketSettings(c)
	if real.IdleTimeout != 150*time.Second || real.PongTimeout != 30*time.Second || real.Silent.Code != 4201 || real.Slow.Code != 4100 {
		t.Errorf("%+v", real)
	}
	quick := *real
	quick.IdleTimeout, quick.PongTimeout = 20*time.Millisecond, 200*time.Millisecond
	writer := wsout.New(wsout.Options{})
	defer func() {
		if err := writer.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := writer.Accept(w, r, &quick)
		if err != nil {
			t.Error(err)
			return
		}
		conn.Serve(nobody{})
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	dial := func(options *websocket.DialOptions) *websocket.Conn {
		conn, _, err := websocket.Dial(ctx, strings.Replace(server.URL, "http", "ws", 1), options)
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}

	script := dial(&websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool { return false }})
	defer script.CloseNow()
	for range 3 {
		_, message, err := script.Read(ctx)
		if err != nil || string(message) != `{"event":"pusher:ping","data":"{}"}` {
			t.Fatalf("%s %v", message, err)
		}
		if err := script.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:pong","data":{}}`)); err != nil {
			t.Fatal(err)
		}
	}

	pings := make(chan struct{}, 1000)
	browser := dial(&websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool {
		pings <- struct{}{}
		return true
	}})
	defer browser.CloseNow()
	events := make(chan string, 1000)
	go func() {
		defer close(events)
		for {
			_, message, err := browser.Read(ctx)
			if err != nil {
				return
			}
			events <- string(message)
		}
	}()
	for range 4 {
		<-pings
	}
	browser.CloseNow()
	count := 0
	for range events {
		count++
	}
	if count > 1 {
		t.Errorf("%d ping events for a client that answers ping frames", count)
	}

	silent := dial(&websocket.DialOptions{OnPingReceived: func(context.Context, []byte) bool { return false }})
	defer silent.CloseNow()
	_, _, err := silent.Read(ctx) // the ping event
	for err == nil {
		_, _, err = silent.Read(ctx)
	}
	var end websocket.CloseError
	if !errors.As(err, &end) || end.Code != 4201 {
		t.Errorf("closed with %v", err)
	}
}
