package peer

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
)

// TestEncode splits much news and puts it together again.
func TestEncode(t *testing.T) {
	want := News{App: "3"}
	for n := range 3000 {
		want.Channels = append(want.Channels, Channel{Name: fmt.Sprint("presence-", n), Count: n, Members: []protocol.Member{
			{ID: "a"}, {ID: "ü", Info: json.RawMessage(`{"n":1}`)},
		}})
		want.Users = append(want.Users, User{ID: fmt.Sprint(n), Online: n%2 == 0})
	}
	want.Missed = []string{"cache-c"}
	want.Events = []Event{{"private-c", json.RawMessage(`{"event":"` + strings.Repeat("x", 2*batchBytes) + `"}`)}, {"c", json.RawMessage(`{}`)}}
	messages := Encode(want)
	if len(messages) < 4 {
		t.Errorf("%d messages", len(messages))
	}
	got := News{App: "3"}
	for _, data := range messages {
		if len(data) > 3*batchBytes {
			t.Errorf("a message of %d bytes", len(data))
		}
		m, err := Decode(data)
		if err != nil || len(m.News) != 1 || m.News[0].App != "3" {
			t.Fatalf("%+v %v", m, err)
		}
		part := m.News[0]
		got.Channels = append(got.Channels, part.Channels...)
		got.Users = append(got.Users, part.Users...)
		got.Missed = append(got.Missed, part.Missed...)
		got.Events = append(got.Events, part.Events...)
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("the parts are not the whole")
	}
	if Encode(News{App: "3"}) != nil {
		t.Error("no news is told")
	}
	if _, err := Decode([]byte("x")); err == nil {
		t.Error("nonsense is understood")
	}
}

func TestBefore(t *testing.T) {
	a, b, c := Hello{Born: 1, ID: "x"}, Hello{Born: 1, ID: "y"}, Hello{Born: 2, ID: "a"}
	if !a.Before(b) || b.Before(a) || !b.Before(c) || c.Before(a) || a.Before(a) {
		t.Error("the order of generations")
	}
}
