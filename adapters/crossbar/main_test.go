package crossbar

import (
	"testing"

	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { coretest.Main(m, Adapter{}) }

func TestSuite(t *testing.T) {
	coretest.Run(t, coretest.Subject{
		Adapter: Adapter{},
		Config: func(listen string) string {
			return `{"listen":"` + listen + `","path":"/push","realm":"realm1","role":"role1","options":{"key":"foobar","secret":"secret","timestamp_delta_limit":0}}`
		},
		Emit: func(t testing.TB, listen string) {
			body := []byte(`{"topic":"com.myapp.topic1","args":["Hello"]}`)
			query, _ := Sign("secret", Parameters{Key: "foobar", Timestamp: "2015-03-24T15:38:12.589Z", Seq: "1", Nonce: "42"}, body)
			answer := send(t, testClient(t), request{url: "http://" + listen + "/push?" + query, body: body})
			if answer.status == 0 {
				t.Error("no answer")
			}
		},
	})
}
