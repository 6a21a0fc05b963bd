//go:build integration

package integration

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// autobahn-js logs in with every method, and is turned away with a wrong secret.
func TestAutobahnLogsIn(t *testing.T) {
	seed := []byte(strings.Repeat("k", ed25519.SeedSize))
	public := hex.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	router := address(t)
	serve(t, map[string]string{"10-wamp.yaml": fmt.Sprintf(`
inbound:
  adapter: wamp
  config:
    mode: router
    listen: %q
    auth:
      ticket: { type: static, principals: { joe: { ticket: t1cket, role: user } } }
      wampcra:
        type: static
        users:
          ann: { secret: s3cret, role: user }
          sue: { secret: passw0rd, role: user, salt: salt123, iterations: 100, keylen: 16 }
      cryptosign: { type: static, principals: { max: { authorized_keys: [%q], role: admin } } }
    realms: [{ name: realm1, roles: [{ name: user }, { name: admin }] }]
`, router, public)})
	for _, tt := range []struct {
		method, authid, secret, role string
	}{
		{"ticket", "joe", "t1cket", "user"},
		{"ticket", "joe", "wrong", ""},
		{"wampcra", "ann", "s3cret", "user"},
		{"wampcra", "sue", "passw0rd", "user"},
		{"wampcra", "sue", "wrong", ""},
		{"cryptosign", "max", hex.EncodeToString(seed), "admin"},
		{"cryptosign", "max", strings.Repeat("00", ed25519.SeedSize), ""},
		{"anonymous", "", "", ""},
	} {
		t.Run(fmt.Sprint(tt.method, " ", tt.authid, " ", tt.role), func(t *testing.T) {
			auth := map[string]any{"method": tt.method, "authid": tt.authid, "secret": tt.secret}
			if tt.method == "cryptosign" {
				auth["pubkey"] = public
			}
			c := node(t, "wamp.js", map[string]any{"url": "ws://" + router + "/ws", "auth": auth})
			if tt.role == "" {
				if refused := c.next("close"); !strings.HasPrefix(fmt.Sprint(refused["detail"]), "wamp.error.") {
					t.Errorf("refused with %v", refused)
				}
				return
			}
			if open := c.next("open"); open["authid"] != tt.authid || open["authrole"] != tt.role {
				t.Errorf("joined as %v", open)
			}
		})
	}
}
