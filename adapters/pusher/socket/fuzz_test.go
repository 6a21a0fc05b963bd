package socket_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pushbridge/bridge/core/coretest"
)

// quiet is a host that logs nothing: inside of a fuzz target nobody may.
type quiet struct{ *coretest.Host }

func (quiet) Log() *slog.Logger { return slog.New(slog.DiscardHandler) }

// FuzzSocket sends what it likes to a real server, which must answer a ping
// afterwards or close with a code of the protocol.
func FuzzSocket(f *testing.F) {
	for _, seed := range []string{
		`{"event":"pusher:subscribe","data":{"channel":"cache-c","auth":""}}`,
		`{"event":"pusher:subscribe","data":"{\"channel\":\"presence-c\",\"auth\":\"` + appKey + `:00\",\"channel_data\":\"{}\"}"}`,
		`{"event":"pusher:subscribe","data":{"channel":"#server-to-user-x"}}`,
		`{"event":"pusher:unsubscribe","data":{"channel":"cache-c"}}`,
		`{"event":"pusher:signin","data":{"auth":"a:b","user_data":"{\"id\":\"x\",\"watchlist\":[\"y\"]}"}}`,
		`{"event":"client-x","channel":"private-c","data":{}}`, `{"event":"pusher_internal:x"}`, `[`, "\xff", "",
	} {
		f.Add([]byte(seed))
	}
	i := open(f, quiet{coretest.NewHost(f)}, `"watchlist":true,"subscription_count":true`)
	var conn *websocket.Conn
	f.Cleanup(func() {
		if conn != nil {
			conn.CloseNow()
		}
	})
	f.Fuzz(func(t *testing.T, data []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if conn == nil {
			var err error
			if conn, _, err = websocket.Dial(ctx, "ws://"+i.listen+"/app/"+appKey+"?"+defaultQuery, nil); err != nil {
				t.Fatal(err)
			}
			conn.SetReadLimit(-1)
		}
		began := time.Now()
		err := conn.Write(ctx, websocket.MessageText, data)
		if err == nil {
			err = conn.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:ping","data":{}}`))
		}
		for err == nil {
			var message []byte
			if _, message, err = conn.Read(ctx); string(message) == `{"event":"pusher:pong","data":"{}"}` {
				return
			}
		}
		switch code := websocket.CloseStatus(err); code {
		case 1007, 1009, 4009:
		default:
			t.Fatalf("%q: closed with %d (%v) after %s", data, code, err, time.Since(began))
		}
		conn.CloseNow()
		conn = nil
	})
}
