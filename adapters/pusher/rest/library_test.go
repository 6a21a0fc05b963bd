package rest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	pusher "github.com/pusher/pusher-http-go/v5"
	"golang.org/x/crypto/nacl/secretbox"

	"github.com/pushbridge/bridge/core"
)

// masterKey is an encryption master key in base64.
const masterKey = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// library is the official Go library talking to an instance.
func library(t *testing.T, r *running) *pusher.Client {
	r.clock.set(time.Now())
	client, err := pusher.ClientFromURL(fmt.Sprintf("http://%s:%s@%s/apps/%s", testKey, testSecret, r.endpoint.Addr(), testApp))
	if err != nil {
		t.Fatal(err)
	}
	client.Secure = r.scheme == "https"
	client.HTTPClient = r.client
	client.EncryptionMasterKeyBase64 = masterKey
	return client
}

// TestGoLibrary runs the official library's whole surface, over HTTP and TLS.
func TestGoLibrary(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) {
		runLibrary(t, start(t, someListeners().prepare, settingsOf(t, "")))
	})
	t.Run("TLS", func(t *testing.T) {
		cert, key, roots := selfSigned(t)
		r := start(t, someListeners().prepare, settingsOf(t, "", `{"tls":{"cert":"`+cert+`","key":"`+key+`"}}`))
		r.scheme = "https"
		r.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
		runLibrary(t, r)
	})
}

func runLibrary(t *testing.T, r *running) {
	client := library(t, r)
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	data := map[string]any{"msg": "héllo ☃ <&>"}
	const sent = `{"msg":"héllo ☃ <&>"}`
	socket, info := "1234.5678", "user_count,subscription_count"
	two := []string{"public", "private-b@=,.;1"}

	ok(client.Trigger("public", "été", data))
	ok(client.TriggerMulti(two, "e", "plain text"))
	//lint:ignore SA1019 programs call it
	ok(client.TriggerExclusive("public", "e", data, socket))
	//lint:ignore SA1019 programs call it
	ok(client.TriggerMultiExclusive(two, "e", data, socket))
	counts, err := client.TriggerMultiWithParams([]string{"presence-room", "public"}, "e", data, pusher.TriggerParams{SocketID: &socket, Info: &info})
	ok(err)
	if c := counts.Channels; len(c) != 2 || *c["presence-room"].UserCount != 2 || *c["presence-room"].SubscriptionCount != 4 || c["public"].UserCount != nil || *c["public"].SubscriptionCount != 1 {
		t.Errorf("%+v", counts)
	}
	none, err := client.TriggerWithParams("public", "e", data, pusher.TriggerParams{})
	if ok(err); none.Channels != nil {
		t.Errorf("%+v", none)
	}
	ok(client.SendToUser("user@1", "hi", data))
	if e := r.published(10); !e.Direct || e.Topic != "" || !reflect.DeepEqual(e.Only, core.Audience{"user": {"user@1"}}) || e.Name != "hi" {
		t.Errorf("%+v", e)
	}
	events := r.events()
	if e := events[0]; e.Topic != "public" || e.Name != "été" || e.Type != core.TypeJSON || !sameJSON(t, e.Data, sent) || e.Space != testApp || e.Except != nil {
		t.Errorf("%+v", e)
	}
	if e := events[2]; e.Topic != two[1] || string(e.Data) != "plain text" || e.Type != core.TypeText {
		t.Errorf("%+v", e)
	}
	if e := events[3]; !reflect.DeepEqual(e.Except, core.Audience{"socket": {socket}}) {
		t.Errorf("%+v", e)
	}

	batch, err := client.TriggerBatch([]pusher.Event{
		{Channel: "public", Name: "b1", Data: data, Info: &info},
		{Channel: "presence-room", Name: "b2", Data: "x", SocketID: &socket},
		{Channel: "private-encrypted-one", Name: "b3", Data: data},
	})
	if ok(err); len(batch.Batch) != 3 || *batch.Batch[0].SubscriptionCount != 1 || batch.Batch[1].SubscriptionCount != nil {
		t.Errorf("%+v", batch)
	}
	checkEncrypted(t, r.published(13), sent)
	plain, err := client.TriggerBatch([]pusher.Event{{Channel: "public", Name: "b", Data: "x"}})
	if ok(err); plain.Batch != nil {
		t.Errorf("%+v", plain)
	}
	ok(client.Trigger("private-encrypted-two", "secret", data))
	checkEncrypted(t, r.published(15), sent)

	prefix, users := "presence-r", "user_count"
	list, err := client.Channels(pusher.ChannelsParams{FilterByPrefix: &prefix, Info: &users})
	if ok(err); !reflect.DeepEqual(list.Channels, map[string]pusher.ChannelListItem{"presence-room": {UserCount: 2}}) {
		t.Errorf("%+v", list)
	}
	odd := "private-b@=,.;"
	list, err = client.Channels(pusher.ChannelsParams{FilterByPrefix: &odd})
	if ok(err); list.Channels == nil || len(list.Channels) != 0 {
		t.Errorf("%+v", list)
	}
	channel, err := client.Channel("presence-room", pusher.ChannelParams{Info: &info})
	if ok(err); *channel != (pusher.Channel{Name: "presence-room", Occupied: true, UserCount: 2, SubscriptionCount: 4}) {
		t.Errorf("%+v", channel)
	}
	present, err := client.GetChannelUsers("presence-room")
	if ok(err); !reflect.DeepEqual(present.List, []pusher.User{{ID: "u1"}, {ID: "u2"}}) {
		t.Errorf("%+v", present)
	}

	checkErrors(t, client)
	r.published(15)
}

// checkErrors wants the library's error for each way to fail.
func checkErrors(t *testing.T, right *pusher.Client) {
	t.Helper()
	fails := func(err error, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("error %v, want %q", err, part)
			}
		}
	}
	with := func(change func(*pusher.Client)) *pusher.Client {
		client := *right
		change(&client)
		return &client
	}
	fails(with(func(c *pusher.Client) { c.Secret = "wrong" }).Trigger("a", "e", "x"), "Status Code: 401", "Invalid signature: you should have sent HmacSHA256Hex(\"POST\\n/apps/3/events\\n")
	fails(with(func(c *pusher.Client) { c.Key = "wrong" }).Trigger("a", "e", "x"), "Status Code: 401", "Unknown auth_key")
	fails(with(func(c *pusher.Client) { c.AppID = "999" }).Trigger("a", "e", "x"), "Status Code: 404", "Unknown app_id")
	fails(with(func(c *pusher.Client) { c.AppID = "4" }).Trigger("a", "e", "x"), "Status Code: 401", "Unknown auth_key")
	fails(with(func(c *pusher.Client) { c.OverrideMaxMessagePayloadKB = 20 }).Trigger("a", "e", strings.Repeat("x", 10241)), "Status Code: 413", "10240 characters")
	fails(right.Trigger("a", "pusher:x", "x"), "Status Code: 400", "reserved")
	_, err := right.GetChannelUsers("public")
	fails(err, "Status Code: 400")
	info := "nonsense"
	_, err = right.Channel("public", pusher.ChannelParams{Info: &info})
	fails(err, "Status Code: 400", "nonsense")
	_, err = right.Channels(pusher.ChannelsParams{Info: &info})
	fails(err, "Status Code: 400", "nonsense")
	many := make([]pusher.Event, 11)
	for i := range many {
		many[i] = pusher.Event{Channel: "a", Name: "e", Data: "x"}
	}
	_, err = right.TriggerBatch(many)
	fails(err, "Status Code: 400", "Batch too large (> 10)")
}

// checkEncrypted opens what the library encrypted, as a client does.
func checkEncrypted(t *testing.T, e core.Event, want string) {
	t.Helper()
	var box struct{ Nonce, Ciphertext []byte }
	if err := json.Unmarshal(e.Data, &box); err != nil || e.Type != core.TypeJSON || len(box.Nonce) != 24 {
		t.Fatalf("%s: %v", e.Data, err)
	}
	master, err := base64.StdEncoding.DecodeString(masterKey)
	if err != nil {
		t.Fatal(err)
	}
	shared := sha256.Sum256(append([]byte(e.Topic), master...))
	opened, ok := secretbox.Open(nil, box.Ciphertext, (*[24]byte)(box.Nonce), &shared)
	if !ok || !sameJSON(t, opened, want) {
		t.Errorf("opened %s, %v", opened, ok)
	}
}

func sameJSON(t *testing.T, got []byte, want string) bool {
	t.Helper()
	var g, w any
	if err := json.Unmarshal(got, &g); err != nil {
		return false
	}
	if err := json.Unmarshal([]byte(want), &w); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(g, w)
}

// selfSigned writes a certificate for 127.0.0.1.
func selfSigned(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	if err := os.WriteFile(certFile, certPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(certPEM)
	return certFile, keyFile, roots
}
