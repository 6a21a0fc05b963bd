package wamp_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"testing"

	nexus "github.com/gammazero/nexus/v3/wamp"
	"github.com/gammazero/nexus/v3/wamp/crsign"

	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
)

// joinAs joins with a method and returns WELCOME or ABORT.
func joinAs(t *testing.T, i *instance, realm string, details nexus.Dict, answer func(*nexus.Challenge) string) nexus.Message {
	t.Helper()
	raw := Dial(t, i.url, "json", nil)
	raw.Send(Hello(realm, details))
	for {
		msg, err := raw.Read()
		if err != nil {
			t.Fatal(err)
		}
		challenge, asked := msg.(*nexus.Challenge)
		if !asked {
			return msg
		}
		raw.Send(&nexus.Authenticate{Signature: answer(challenge)})
	}
}

func TestLogins(t *testing.T) {
	key := ed25519.NewKeyFromSeed([]byte(strings.Repeat("k", 32)))
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	i := open(t, `{"mode": "router", "listen": "LISTEN",
		"auth": {
			"anonymous": {"type": "static", "role": "guest"},
			"ticket": {"type": "static", "principals": {"joe": {"ticket": "t1cket", "role": "user"}}},
			"wampcra": {"type": "static", "users": {"ann": {"secret": "s3cret", "role": "user"},
				"sue": {"secret": "passw0rd", "role": "user", "salt": "salt123", "iterations": 100, "keylen": 16}}},
			"cryptosign": {"type": "static", "principals": {"max": {"authorized_keys": ["`+public+`"], "role": "admin"}}}},
		"realms": [{"name": "realm1", "roles": [{"name": "guest"}, {"name": "user"}, {"name": "admin"}]},
		           {"name": "closed", "auth": {"ticket": {"principals": {"jim": {"ticket": "x", "role": "user"}}}}, "roles": [{"name": "user"}]}]}`)
	text := func(s string) func(*nexus.Challenge) string { return func(*nexus.Challenge) string { return s } }
	cra := func(s string) func(*nexus.Challenge) string {
		return func(c *nexus.Challenge) string { return crsign.RespondChallenge(s, c, nil) }
	}
	sign := func(c *nexus.Challenge) string {
		challenge, _ := hex.DecodeString(c.Extra["challenge"].(string))
		return hex.EncodeToString(append(ed25519.Sign(key, challenge), challenge...))
	}
	with := func(authid string, methods ...string) nexus.Dict {
		list := nexus.List{}
		for _, m := range methods {
			list = append(list, m)
		}
		return nexus.Dict{"authid": authid, "authmethods": list, "authextra": nexus.Dict{"pubkey": public}}
	}
	tests := []struct {
		name    string
		realm   string
		details nexus.Dict
		answer  func(*nexus.Challenge) string
		role    string
		method  string
	}{
		{"nothing", "realm1", nil, nil, "guest", "anonymous"},
		{"anonymous", "realm1", with("joe", "anonymous"), nil, "guest", "anonymous"},
		{"ticket", "realm1", with("joe", "ticket"), text("t1cket"), "user", "ticket"},
		{"ticket, wrong", "realm1", with("joe", "ticket"), text("wrong"), "", ""},
		{"ticket, unknown", "realm1", with("jim", "ticket"), text("x"), "", ""},
		{"wampcra", "realm1", with("ann", "wampcra"), cra("s3cret"), "user", "wampcra"},
		{"wampcra, salted", "realm1", with("sue", "wampcra"), cra("passw0rd"), "user", "wampcra"},
		{"wampcra, wrong", "realm1", with("sue", "wampcra"), cra("wrong"), "", ""},
		{"cryptosign", "realm1", with("max", "cryptosign"), sign, "admin", "cryptosign"},
		{"the first that there is", "realm1", with("ann", "scram", "wampcra", "anonymous"), cra("s3cret"), "user", "wampcra"},
		{"a realm with an auth of its own", "closed", with("jim", "ticket"), text("x"), "user", "ticket"},
		{"nobody comes in anonymously", "closed", nil, nil, "", ""},
		{"nor with another realm's user", "closed", with("joe", "ticket"), text("t1cket"), "", ""},
	}
	for _, tt := range tests {
		switch m := joinAs(t, i, tt.realm, tt.details, tt.answer).(type) {
		case *nexus.Welcome:
			if m.Details["authrole"] != tt.role || m.Details["authmethod"] != tt.method {
				t.Errorf("%s: %v", tt.name, m.Details)
			}
		case *nexus.Abort:
			if tt.role != "" || m.Reason != nexus.ErrAuthenticationFailed {
				t.Errorf("%s: %+v", tt.name, m)
			}
		}
	}
}

// TestAuthIsNotAdded wants what is left out of a configuration to stay out:
// defaults must not offer anonymous logins.
func TestAuthIsNotAdded(t *testing.T) {
	i := open(t, `{"mode": "router", "listen": "LISTEN", "auth": {"wampcra": {"users": {}}}, "realms": [{"name": "realm1"}]}`)
	for _, methods := range []nexus.List{nil, {"anonymous"}, {"ticket"}, {"cryptosign"}, {"anonymous", "ticket"}} {
		if msg, joined := joinAs(t, i, "realm1", nexus.Dict{"authmethods": methods, "authid": "x"}, nil).(*nexus.Welcome); joined {
			t.Errorf("%v joined as %v", methods, msg.Details)
		}
	}
}
