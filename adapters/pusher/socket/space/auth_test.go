package space

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/core/kit/settings"
)

type authVectors struct {
	Channel []struct {
		ID, Key, Secret, Channel, Auth string
		SocketID                       string  `json:"socket_id"`
		ChannelData                    *string `json:"channel_data"`
		Valid                          bool
	} `json:"channel_auth"`
	User []struct {
		ID, Key, Secret, Auth string
		SocketID              string `json:"socket_id"`
		UserData              string `json:"user_data"`
		Valid                 bool
	} `json:"user_auth"`
}

func readVectors(t testing.TB) authVectors {
	t.Helper()
	data, err := os.ReadFile("../testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v authVectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// appWith is an app with that key pair and the defaults.
func appWith(t testing.TB, key, secret string) *app.App {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"apps": []any{map[string]any{"id": "3", "key": key, "secret": secret}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := settings.Decode[struct {
		Apps []app.Config `json:"apps"`
	}](raw)
	if err != nil {
		t.Fatal(err)
	}
	return app.NewSet(c.Apps).All()[0]
}

func fields(t testing.TB, members map[string]any) protocol.Fields {
	t.Helper()
	data, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return protocol.Message{Data: data}.Fields()
}

func TestChannelVectors(t *testing.T) {
	all := readVectors(t).Channel
	if len(all) < 16 {
		t.Errorf("only %d vectors", len(all))
	}
	for _, v := range all {
		l := &Listener{socketID: v.SocketID}
		members := map[string]any{"auth": v.Auth}
		if v.ChannelData != nil {
			members["channel_data"] = *v.ChannelData
		}
		a := appWith(t, v.Key, v.Secret)
		channelData, refused := l.authorize(a, v.Channel, fields(t, members))
		if (refused == nil) != v.Valid {
			t.Errorf("%s: %+v, want valid %v", v.ID, refused, v.Valid)
		}
		if refused != nil || !channel.KindOf(v.Channel).IsPresence() {
			continue
		}
		m, refused := l.member(a, channelData)
		if (refused == nil) != (v.ChannelData != nil) {
			t.Errorf("%s: member %+v, %+v", v.ID, m, refused)
		}
		l.user, l.identity = &user{}, protocol.User{ID: "signed in"}
		m, refused = l.member(a, channelData)
		if refused != nil || (m.ID == "signed in") != (v.ChannelData == nil) {
			t.Errorf("%s: signed in: member %+v, %+v", v.ID, m, refused)
		}
	}
}

func TestUserVectors(t *testing.T) {
	all := readVectors(t).User
	if len(all) < 7 {
		t.Errorf("only %d vectors", len(all))
	}
	for _, v := range all {
		l := &Listener{socketID: v.SocketID}
		userData, u, refused := l.identify(appWith(t, v.Key, v.Secret), fields(t, map[string]any{"auth": v.Auth, "user_data": v.UserData}))
		if (refused == nil) != v.Valid {
			t.Errorf("%s: %+v, want valid %v", v.ID, refused, v.Valid)
		}
		if refused == nil && (userData != v.UserData || u.ID == "") {
			t.Errorf("%s: %q %+v", v.ID, userData, u)
		}
	}
}

func TestMember(t *testing.T) {
	a := appWith(t, "k", "s")
	a.Limits.UserID, a.Limits.PresenceMember = 5, 20
	for data, want := range map[string]string{
		`{"user_id":"üüüüü"}`:                               "üüüüü",
		`{"user_id":"123456"}`:                              "!AuthError",
		`{"user_id":"u","user_info":{"long":"long text"}}`:  "!LimitReached",
		`{"user_id":"u","user_info":{"n":1},"user_info":5}`: "!AuthError",
		`{"user_id":"u","user_info":null}`:                  "u",
		`{"user_id":1e2}`:                                   "100",
		`{"user_id":-0.5}`:                                  "-0.5",
		`{"user_id":true}`:                                  "!AuthError",
		`{"user_id":{}}`:                                    "!AuthError",
		`null`:                                              "!AuthError",
		`[]`:                                                "!AuthError",
	} {
		m, refused := (&Listener{}).member(a, data)
		got := m.ID
		if refused != nil {
			got = "!" + refused.kind.Type
		}
		if got != want {
			t.Errorf("%s: %s, want %s", data, got, want)
		}
	}
}
