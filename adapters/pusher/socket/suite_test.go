package socket_test

import (
	"testing"

	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestSuite(t *testing.T) {
	call, err := core.NewCall(core.OpChannelsList, "3", "", core.ChannelsParams{})
	if err != nil {
		t.Fatal(err)
	}
	coretest.Run(t, coretest.Subject{
		Adapter: socket.Adapter{},
		Config:  func(listen string) string { return config(listen, "") },
		Emit: func(t testing.TB, listen string) {
			i := &instance{t: t, listen: listen}
			a, b := i.connect("a"), i.connect("b")
			a.subscribed("private-c")
			b.subscribed("private-c")
			a.send(`{"event":"client-hi","channel":"private-c","data":"x"}`)
			b.expect("client-hi", "private-c", "x")
			a.close()
			b.close()
		},
		Event: core.Event{Space: "3", Topic: "news", Name: "e", Type: core.TypeJSON, Data: []byte(`{"a":1}`)},
		Call:  call,
	})
}
