package auth_test

import (
	"crypto/ed25519"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/gammazero/nexus/v3/wamp/crsign"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/wamp/auth"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newRealm makes the authentication of realm1.
func newRealm(t *testing.T, d *auth.Directory) *auth.Realm {
	t.Helper()
	if err := d.Prepare(); err != nil {
		t.Fatal(err)
	}
	return auth.NewRealm("realm1", d, auth.NewAttempts(), func(string) {})
}

// network makes a pipe's end a peer that is none, as a client on the network.
type network struct {
	wamp.Peer
	number uint32
}

// RemoteAddr implements auth.Remote. Each client has its own, so that none waits
// for the failures of another.
func (n network) RemoteAddr() netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n.number)))
}

// clients counts them.
var clients atomic.Uint32

// login goes through a login; answer answers the challenge. It returns nil if it
// was refused.
func login(t *testing.T, r *auth.Realm, method string, hello wamp.Dict, answer func(*wamp.Challenge) wamp.Message) *wamp.Welcome {
	t.Helper()
	for _, a := range r.Authenticators() {
		if a.AuthMethod() != method {
			continue
		}
		client, router := peer.NewPipe("", "")
		done := make(chan struct{})
		go func() {
			defer close(done)
			select {
			case msg := <-client.Recv():
				if reply := answer(msg.(*wamp.Challenge)); reply != nil {
					client.Send() <- reply
				}
				client.Close()
			case <-client.Done():
			}
		}()
		welcome, err := a.Authenticate(1, hello, network{router, clients.Add(1)})
		router.Close()
		<-done
		if err == nil {
			return welcome
		}
		if err.Error() != "authentication failed" {
			t.Errorf("the client is told %q", err)
		}
		return nil
	}
	t.Fatalf("%s is not offered", method)
	return nil
}

// signature answers with a text.
func signature(s string) func(*wamp.Challenge) wamp.Message {
	return func(*wamp.Challenge) wamp.Message { return &wamp.Authenticate{Signature: s} }
}

func id(authid string) wamp.Dict { return wamp.Dict{"authid": authid} }

func wants(t *testing.T, name string, got *wamp.Welcome, authid, role string) {
	t.Helper()
	switch {
	case role == "" && got != nil:
		t.Errorf("%s: joined as %v", name, got.Details)
	case role != "" && got == nil:
		t.Errorf("%s: refused", name)
	case role != "" && (got.Details["authrole"] != role || authid != "" && got.Details["authid"] != authid):
		t.Errorf("%s: joined as %v", name, got.Details)
	}
}

func TestAnonymous(t *testing.T) {
	r := newRealm(t, &auth.Directory{Anonymous: &auth.Anonymous{Role: "guest"}})
	first, second := login(t, r, "anonymous", id("me"), nil), login(t, r, "anonymous", nil, nil)
	wants(t, "anonymous", first, "", "guest")
	if first.Details["authid"] == "me" || first.Details["authid"] == second.Details["authid"] {
		t.Errorf("authids %v, %v", first.Details["authid"], second.Details["authid"])
	}
	r = newRealm(t, &auth.Directory{Anonymous: &auth.Anonymous{Role: "guest", AuthID: "everybody"}})
	wants(t, "with an authid", login(t, r, "anonymous", nil, nil), "everybody", "guest")
}

func TestTicket(t *testing.T) {
	r := newRealm(t, &auth.Directory{Ticket: map[string]auth.TicketPrincipal{"joe": {Ticket: "secret", Role: "user"}, "none": {Role: "user"}}})
	for _, tt := range []struct{ id, ticket, role string }{
		{"joe", "secret", "user"}, {"joe", "Secret", ""}, {"joe", "", ""}, {"joe", "secret2", ""},
		{"eve", "secret", ""}, {"eve", "", ""}, {"none", "", ""}, {"", "secret", ""},
	} {
		wants(t, fmt.Sprintf("%+v", tt), login(t, r, "ticket", id(tt.id), signature(tt.ticket)), "joe", tt.role)
	}
	wants(t, "another message", login(t, r, "ticket", id("joe"), func(*wamp.Challenge) wamp.Message { return &wamp.Publish{} }), "", "")
	wants(t, "no answer", login(t, r, "ticket", id("joe"), func(*wamp.Challenge) wamp.Message { return nil }), "", "")
}

func cra(secret string) func(*wamp.Challenge) wamp.Message {
	return func(c *wamp.Challenge) wamp.Message {
		return &wamp.Authenticate{Signature: crsign.RespondChallenge(secret, c, nil)}
	}
}

func TestWAMPCRA(t *testing.T) {
	derived, err := pbkdf2.Key(sha256.New, "password", []byte("salt123"), 100, 16)
	if err != nil {
		t.Fatal(err)
	}
	r := newRealm(t, &auth.Directory{WAMPCRA: map[string]auth.CRAUser{
		"plain":   {Secret: "secret", Role: "a"},
		"salted":  {Secret: "password", Role: "b", Salt: "salt123", Iterations: 100, KeyLen: 16},
		"derived": {Secret: base64.StdEncoding.EncodeToString(derived), Role: "c", Salt: "salt123", Iterations: 100, KeyLen: 16},
		`qu"ote`:  {Secret: "secret", Role: "d"},
	}})
	for _, tt := range []struct{ id, secret, role string }{
		{"plain", "secret", "a"}, {"plain", "wrong", ""}, {"plain", "", ""},
		{"salted", "password", "b"}, {"salted", "wrong", ""},
		{"derived", "password", "c"}, {"derived", "wrong", ""},
		{`qu"ote`, "secret", "d"}, {"unknown", "secret", ""}, {"unknown", "password", ""}, {"", "secret", ""},
	} {
		wants(t, fmt.Sprintf("%+v", tt), login(t, r, "wampcra", id(tt.id), cra(tt.secret)), tt.id, tt.role)
	}
	wants(t, "no base64", login(t, r, "wampcra", id("plain"), signature("***")), "", "")
	wants(t, "empty", login(t, r, "wampcra", id("plain"), signature("")), "", "")
}

// TestUnknownUsers wants what is shown of a user that there is not to look like
// one that there is, and to be the same each time.
func TestUnknownUsers(t *testing.T) {
	r := newRealm(t, &auth.Directory{WAMPCRA: map[string]auth.CRAUser{
		"known": {Secret: "password", Role: "role", Salt: "0123456789abcdef", Iterations: 100, KeyLen: 16},
	}})
	challenge := func(who string) wamp.Dict {
		var extra wamp.Dict
		login(t, r, "wampcra", id(who), func(c *wamp.Challenge) wamp.Message { extra = c.Extra; return nil })
		return extra
	}
	known, unknown, again, other := challenge("known"), challenge("unknown"), challenge("unknown"), challenge("other")
	if unknown["salt"] != again["salt"] || unknown["salt"] == other["salt"] || unknown["salt"] == known["salt"] {
		t.Errorf("salts: %v, %v, %v", unknown["salt"], again["salt"], other["salt"])
	}
	if len(unknown["salt"].(string)) != len(known["salt"].(string)) || unknown["iterations"] != known["iterations"] || unknown["keylen"] != known["keylen"] {
		t.Errorf("known %v, unknown %v", known, unknown)
	}
	var text struct {
		AuthID, AuthRole, AuthMethod, AuthProvider, Nonce, Timestamp string
		Session                                                      int64
	}
	if err := json.Unmarshal([]byte(unknown["challenge"].(string)), &text); err != nil || text.AuthID != "unknown" || text.AuthRole != "role" ||
		text.AuthMethod != "wampcra" || text.Nonce == "" || text.Timestamp == "" || text.Session != 1 {
		t.Errorf("text %+v, %v", text, err)
	}
}

func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+n)), 32)))
}

func public(k ed25519.PrivateKey) string { return hex.EncodeToString(k.Public().(ed25519.PublicKey)) }

func sign(k ed25519.PrivateKey) func(*wamp.Challenge) wamp.Message {
	return func(c *wamp.Challenge) wamp.Message {
		challenge, _ := hex.DecodeString(c.Extra["challenge"].(string))
		return &wamp.Authenticate{Signature: hex.EncodeToString(append(ed25519.Sign(k, challenge), challenge...))}
	}
}

func hello(authid string, k ed25519.PrivateKey) wamp.Dict {
	d := wamp.Dict{"authextra": wamp.Dict{"pubkey": public(k)}}
	if authid != "" {
		d["authid"] = authid
	}
	return d
}

func TestCryptosign(t *testing.T) {
	mine, spare, strange, elsewhere := key(0), key(1), key(2), key(3)
	r := newRealm(t, &auth.Directory{Cryptosign: map[string]auth.CryptosignPrincipal{
		"joe":  {Keys: []string{public(mine), public(spare)}, Role: "user"},
		"here": {Keys: []string{public(key(4))}, Role: "local", Realm: "realm1"},
		"away": {Keys: []string{public(elsewhere)}, Role: "user", Realm: "realm2"},
	}})
	upper := hello("joe", mine)
	upper["authextra"] = wamp.Dict{"pubkey": strings.ToUpper(public(mine))}
	shout := func(c *wamp.Challenge) wamp.Message {
		m := sign(mine)(c).(*wamp.Authenticate)
		m.Signature = strings.ToUpper(m.Signature)
		return m
	}
	for _, tt := range []struct {
		name   string
		hello  wamp.Dict
		answer func(*wamp.Challenge) wamp.Message
		authid string
		role   string
	}{
		{"right", hello("joe", mine), sign(mine), "joe", "user"},
		{"the other key", hello("joe", spare), sign(spare), "joe", "user"},
		{"found by key", hello("", spare), sign(spare), "joe", "user"},
		{"upper case", upper, shout, "joe", "user"},
		{"a key for this realm", hello("here", key(4)), sign(key(4)), "here", "local"},
		{"a key for another realm", hello("away", elsewhere), sign(elsewhere), "", ""},
		{"an unknown key", hello("", strange), sign(strange), "", ""},
		{"an unknown key for a known user", hello("joe", strange), sign(strange), "", ""},
		{"a known key for another user", hello("here", mine), sign(mine), "", ""},
		{"signed with another key", hello("joe", mine), sign(strange), "", ""},
		{"no key", id("joe"), sign(mine), "", ""},
		{"a key that is none", wamp.Dict{"authid": "joe", "authextra": wamp.Dict{"pubkey": "00"}}, sign(mine), "", ""},
		{"no signature", hello("joe", mine), signature(""), "", ""},
		{"no hexadecimal", hello("joe", mine), signature("xyz"), "", ""},
		{"too long", hello("joe", mine), func(c *wamp.Challenge) wamp.Message {
			m := sign(mine)(c).(*wamp.Authenticate)
			m.Signature += "00"
			return m
		}, "", ""},
	} {
		wants(t, tt.name, login(t, r, "cryptosign", tt.hello, tt.answer), tt.authid, tt.role)
	}
}

// TestReplay records the answer of a login and uses it again.
func TestReplay(t *testing.T) {
	mine := key(0)
	r := newRealm(t, &auth.Directory{Cryptosign: map[string]auth.CryptosignPrincipal{"joe": {Keys: []string{public(mine)}, Role: "user"}}})
	var recorded wamp.Message
	wants(t, "the login", login(t, r, "cryptosign", hello("joe", mine), func(c *wamp.Challenge) wamp.Message {
		recorded = sign(mine)(c)
		return recorded
	}), "joe", "user")
	wants(t, "the replay", login(t, r, "cryptosign", hello("joe", mine), func(*wamp.Challenge) wamp.Message { return recorded }), "", "")
}

func TestOwnSessions(t *testing.T) {
	r := newRealm(t, &auth.Directory{})
	own := r.Authenticators()[0]
	_, router := peer.NewPipe("bridge", "role")
	if welcome, err := own.Authenticate(1, nil, router); err != nil || welcome.Details["authrole"] != "role" {
		t.Errorf("a pipe: %v, %v", welcome, err)
	}
	if _, err := own.Authenticate(1, wamp.Dict{"authid": "bridge"}, network{router, 0}); err == nil {
		t.Error("a client from the network joined as the bridge")
	}
}

func TestSwap(t *testing.T) {
	r := newRealm(t, &auth.Directory{Ticket: map[string]auth.TicketPrincipal{"joe": {Ticket: "old", Role: "user"}}})
	r.Swap(&auth.Directory{Ticket: map[string]auth.TicketPrincipal{"joe": {Ticket: "new", Role: "admin"}}})
	wants(t, "old", login(t, r, "ticket", id("joe"), signature("old")), "", "")
	wants(t, "new", login(t, r, "ticket", id("joe"), signature("new")), "joe", "admin")
}

func TestMethods(t *testing.T) {
	d := &auth.Directory{Anonymous: &auth.Anonymous{}, WAMPCRA: map[string]auth.CRAUser{}}
	if got := strings.Join(d.Methods(), " "); got != "anonymous wampcra" {
		t.Errorf("methods %s", got)
	}
}
