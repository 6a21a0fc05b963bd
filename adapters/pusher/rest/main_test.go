package rest

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { coretest.Main(m, Adapter{}) }

func TestSuite(t *testing.T) {
	coretest.Run(t, coretest.Subject{
		Adapter: Adapter{},
		Config: func(listen string) string {
			return `{"listen":"` + listen + `","apps":[{"id":"3","key":"` + testKey + `","secret":"` + testSecret + `","refuse_repeats":true}]}`
		},
		Emit: emit,
	})
}

// emit publishes, lets the same request be refused, and repeats the event under
// its idempotency_key: what is remembered is remembered by the bus.
func emit(t testing.TB, listen string) {
	transport := new(http.Transport)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	q := request{method: "POST", path: "/apps/3/events", body: `{"name":"e","channels":["a","#server-to-user-u"],"data":"x","idempotency_key":"k"}`}
	post := func(target string) answer {
		response, err := client.Post("http://"+listen+target, "application/json", strings.NewReader(q.body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{t, response.StatusCode, response.Header, string(text)}
	}
	target := q.sign(time.Now())
	first := post(target).is(200)
	if ids := first.ids(); !eventID.MatchString(ids["a"]) || ids["a"] >= ids["#server-to-user-u"] {
		t.Errorf("ids %v", ids)
	}
	post(target).is(401).contains("sent before")
	q.query = "n=1"
	post(q.sign(time.Now())).is(200).says(first.body)
}
