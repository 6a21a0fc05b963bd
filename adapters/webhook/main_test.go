package webhook

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { coretest.Main(m, Adapter{}) }

func TestSuite(t *testing.T) {
	for name, more := range map[string]string{"one by one": ``, "batched": `,"batch":{"window":"1ms"}`} {
		t.Run(name, func(t *testing.T) {
			receiver := newReceiver(t)
			coretest.Run(t, coretest.Subject{
				Adapter: Adapter{},
				Config: func(string) string {
					return `{"url":"` + receiver.URL + `","format":"pusher","key":"key","secret":"secret"` + more + `}`
				},
				Event: core.Event{Kind: core.KindClient, Topic: "private-c", Name: "client-x", Type: core.TypeText, Data: []byte("data")},
			})
		})
	}
}

// leakFree wants that what the test does from here on leaves no goroutine behind.
func leakFree(t testing.TB) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, before) })
}
