package wamp_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
	. "github.com/pushbridge/bridge/adapters/wamp/internal/wamptest"
	"github.com/pushbridge/bridge/core"
)

// untilCheck waits until the instance is ready, or says why it is not.
func (i *instance) untilCheck(part string) {
	i.t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		err := i.Instance.(core.Checker).Check(context.Background())
		if part == "" && err == nil || part != "" && err != nil && strings.Contains(err.Error(), part) {
			return
		}
		if time.Now().After(deadline) {
			i.t.Fatalf("check says %v, want %q", err, part)
		}
	}
}

func clientConfig(url, more string) string {
	return `{"mode": "client", "url": "` + url + `", "realm": "realm1", "reconnect": {"initial": "1ms", "cap": "10ms"}` + more + `}`
}

// TestClientMode publishes from one instance to a router that is another.
func TestClientMode(t *testing.T) {
	router := open(t, routerConfig(""))
	for _, serializer := range codec.Names() {
		i := open(t, clientConfig(router.url, `, "serializer": "`+serializer+`", "subscribe": [{"topic": "up.", "match": "prefix"}, {"topic": "exact"}]`))
		i.untilCheck("")
		raw := Join(t, router.url, "json", "realm1")
		raw.Subscribe("down", "exact")
		id := i.accepted(core.Event{Space: "any", Topic: "down", Type: core.TypeBin, Data: []byte{0, 255}})
		event := Receive[*nexus.Event](raw)
		if strconv.FormatUint(uint64(event.Publication), 10) != id || string(event.Arguments[0].([]byte)) != "\x00\xff" {
			t.Errorf("%s: event %+v, id %s", serializer, event, id)
		}
		i.accepted(text("up.echo")) // must not come back
		raw.Send(&nexus.Publish{Request: 1, Topic: "up.x", Arguments: nexus.List{"hello"}})
		raw.Send(&nexus.Publish{Request: 2, Topic: "exact"})
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		published := i.host.WaitPublished(ctx, 2)
		cancel()
		if first := published[0].Events[0]; first.Topic != "up.x" || first.Space != "realm1" || string(first.Data) != `{"args":["hello"],"kwargs":{}}` {
			t.Errorf("%s: emitted %+v", serializer, first)
		}
		if second := published[1].Events[0]; second.Topic != "exact" || string(second.Data) != `{"args":[],"kwargs":{}}` {
			t.Errorf("%s: emitted %+v", serializer, second)
		}
		receipt := i.deliver(core.Event{Topic: "a..b", Type: core.TypeWAMP, Data: []byte(`{"args":[]}`)})[0]
		if receipt.Err == nil || receipt.Err.Code != "wamp.error.invalid_uri" || !json.Valid(receipt.Detail) {
			t.Errorf("%s: an invalid topic: %+v", serializer, receipt)
		}
		i.stop()
	}
}

func TestClientLogins(t *testing.T) {
	seed := strings.Repeat("07", 32)
	raw, _ := hex.DecodeString(seed)
	public := hex.EncodeToString(ed25519.NewKeyFromSeed(raw).Public().(ed25519.PublicKey))
	router := open(t, `{"mode": "router", "listen": "LISTEN", "auth": {
			"ticket": {"principals": {"joe": {"ticket": "t1cket", "role": "user"}}},
			"wampcra": {"users": {"sue": {"secret": "passw0rd", "role": "user", "salt": "salt123", "iterations": 100, "keylen": 16}}},
			"cryptosign": {"principals": {"max": {"authorized_keys": ["`+public+`"], "role": "user"}}}},
		"realms": [{"name": "realm1", "roles": [{"name": "user", "permissions": [{"uri": "*", "publish": true}]}]}]}`)
	for auth, want := range map[string]string{
		`{"method": "ticket", "authid": "joe", "ticket": "t1cket"}`:                "",
		`{"method": "wampcra", "authid": "sue", "secret": "passw0rd"}`:             "",
		`{"method": "cryptosign", "private_key": "` + seed + `"}`:                  "",
		`{"method": "cryptosign", "authid": "max", "private_key": "` + seed + `"}`: "",
		`{"method": "anonymous"}`:                                   "authentication_failed",
		`{"method": "wampcra", "authid": "sue", "secret": "wrong"}`: "authentication_failed",
	} {
		i := open(t, clientConfig(router.url, `, "auth": `+auth))
		i.untilCheck(want)
		if want == "" {
			i.accepted(text("t"))
		}
		i.stop()
	}
}

// TestClientWithoutRouter wants events to wait, and questions to be answered
// that nobody is there.
func TestClientWithoutRouter(t *testing.T) {
	listen := freeAddress(t)
	i := open(t, clientConfig("ws://"+listen+"/ws", `, "queue": {"ttl": "100ms"}`))
	i.untilCheck("connection refused")
	if answer := i.authorize("realm1", "t", "any"); answer.Err == nil || answer.Err.Code != core.CodeNotRunning || !answer.Err.Retryable {
		t.Errorf("authorize: %+v", answer)
	}
	receipt := i.deliver(text("t"))[0]
	if receipt.Err == nil || receipt.Err.Code != core.CodeNotRunning || !receipt.Err.Retryable || receipt.Err.Outcome != core.OutcomeNotDone {
		t.Errorf("receipt %+v", receipt)
	}
	openOn(t, listen, routerConfig(""))
	i.untilCheck("")
	i.accepted(text("t"))
}

func TestClientRoles(t *testing.T) {
	router := open(t, routerConfig(""))
	roles := func(topic string) string {
		return `, "roles": [{"name": "writer", "permissions": [{"uri": "` + topic + `", "publish": true}]}]`
	}
	i := open(t, clientConfig(router.url, roles("open")))
	i.untilCheck("")
	publishes := func(role, topic string) bool {
		t.Helper()
		event := text(topic)
		event.Meta = map[string]string{"wamp.role": role}
		receipt := i.deliver(event)[0]
		var answer core.Authorization
		if err := i.authorize("realm1", topic, role).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		if answer.Allowed != (receipt.Err == nil) {
			t.Errorf("%s by %s: answer %+v, receipt %+v", topic, role, answer, receipt)
		}
		return receipt.Err == nil
	}
	if !publishes("writer", "open") || publishes("writer", "closed") || publishes("other", "open") {
		t.Error("the roles do not hold")
	}
	i.accepted(text("closed")) // without a role: from other protocols
	if answer := i.authorize("elsewhere", "open", "writer"); !answer.None {
		t.Errorf("another realm: %+v", answer)
	}
	reconfigure := i.Instance.(core.Reconfigurer).Reconfigure
	if err := reconfigure(t.Context(), json.RawMessage(clientConfig(router.url, roles("closed")))); err != nil {
		t.Fatal(err)
	}
	if publishes("writer", "open") || !publishes("writer", "closed") {
		t.Error("the new roles do not hold")
	}
	if err := reconfigure(t.Context(), json.RawMessage(clientConfig(router.url, ""))); err != nil {
		t.Fatal(err)
	}
	if !publishes("anybody", "open") {
		t.Error("without roles not everything is allowed")
	}
	if err := reconfigure(t.Context(), json.RawMessage(clientConfig(router.url, `, "resend": true`))); !errors.Is(err, core.ErrRestart) {
		t.Errorf("a structural change: %v", err)
	}
}

// TestClientOptions looks at what an outside router is told.
func TestClientOptions(t *testing.T) {
	listen := freeAddress(t)
	published := make(chan *nexus.Publish, 1)
	defer fakeRouter(t, listen, published)()
	i := open(t, clientConfig("ws://"+listen, ""))
	i.untilCheck("")
	event := text("t")
	event.Meta = map[string]string{"wamp.retain": "true", "wamp.forward_for": `[{"session":9007199254740992,"authid":"a","authrole":"b"}]`, "other": "x"}
	event.Only = core.Audience{"role": {"r"}}
	i.accepted(event)
	options := (<-published).Options
	forwardFor, _ := nexus.AsList(options["forward_for"])
	if options["retain"] != true || options["acknowledge"] != true || len(options) != 4 || len(forwardFor) != 1 ||
		forwardFor[0].(map[string]any)["session"] != int64(9007199254740992) {
		t.Errorf("options %v", options)
	}
	event.Meta = map[string]string{"wamp.forward_for": `{`}
	if receipt := i.deliver(event)[0]; receipt.Err == nil || receipt.Err.Code != core.CodeInvalidEvent {
		t.Errorf("broken forward_for: %+v", receipt)
	}
}

// TestTLS runs a router with TLS and clients that trust it, or do not.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	cert, key := certificate(t, dir)
	listen := freeAddress(t)
	router := openOn(t, listen, routerConfig(`, "tls": {"cert": "`+cert+`", "key": "`+key+`"}`))
	_ = router
	url := "wss://" + strings.Replace(listen, "127.0.0.1", "localhost", 1) + "/ws"
	for tls, want := range map[string]string{
		`{"ca": "` + cert + `"}`: "",
		`{"ca": "` + cert + `", "server_name": "elsewhere.example.com"}`: "certificate",
		`{"server_name": "localhost"}`:                                   "certificate",
		`{"insecure_skip_verify": true}`:                                 "",
	} {
		i := open(t, clientConfig(url, `, "tls": `+tls))
		i.untilCheck(want)
		if want == "" {
			i.accepted(text("t"))
		}
		i.stop()
	}
}

// certificate makes a certificate for localhost that is its own authority.
func certificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", encoded)
}
