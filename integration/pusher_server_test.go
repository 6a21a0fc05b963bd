//go:build integration

package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
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
)

// certificate writes a self-made certificate for this computer, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeFile(t, cert, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})))
	return cert, key
}

// withTLS makes both sides of a route serve TLS.
func withTLS(content, at, cert, key string) string {
	content = strings.Replace(content, fmt.Sprintf("    listen: %q\n", at), fmt.Sprintf("    listen: %q\n    tls: { cert: %q, key: %q }\n", at, cert, key), 1)
	return strings.Replace(content, fmt.Sprintf("config: { listen: %q, ", at), fmt.Sprintf("config: { listen: %q, tls: { cert: %q, key: %q }, ", at, cert, key), 1)
}

// The official Node library, with pusher-js listening, over HTTP and over TLS.
func TestPusherNodeLibrary(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) {
		at := address(t)
		serve(t, map[string]string{"20-pusher.yaml": pusherRoute(at, "process")})
		nodeLibrary(servePusher(t, at, nil), nil)
	})
	t.Run("HTTPS", func(t *testing.T) {
		at := address(t)
		cert, key := certificate(t)
		t.Setenv("NODE_EXTRA_CA_CERTS", cert)
		serve(t, map[string]string{"20-pusher.yaml": withTLS(pusherRoute(at, "process"), at, cert, key)})
		s := servePusher(t, at, map[string]any{"url": pusherURL("https", at)})
		nodeLibrary(s, overTLS(s.port))
	})
}

// overTLS are options of pusher-js.
func overTLS(port int) map[string]any {
	return map[string]any{"forceTLS": true, "wssPort": port}
}

// nodeLibrary runs the library's calls; pages connect with the options.
func nodeLibrary(s *pusherServer, options map[string]any) {
	t := s.t
	alice := s.page(map[string]any{"userId": "alice", "options": options})
	alice.enter("presence-room")
	alice.subscribe("news")

	ids := s.call("trigger", []string{"news", "presence-room"}, "e", "data", map[string]any{"info": "user_count,subscription_count"})
	want(t, "the counts", ids.(map[string]any)["channels"], `{"news":{"subscription_count":1},"presence-room":{"subscription_count":1,"user_count":1}}`)
	if events := ids.(map[string]any)["event_ids"].(map[string]any); len(events) != 2 || events["news"] == events["presence-room"] {
		t.Errorf("the event ids are %v", events)
	}
	alice.find("event", "channel", "news", "event", "e")
	alice.find("event", "channel", "presence-room", "event", "e")
	want(t, "the answer to a batch", s.call("triggerBatch", []any{
		map[string]any{"channel": "news", "name": "one", "data": map[string]any{"n": 1}, "info": "subscription_count"},
		map[string]any{"channel": "news", "name": "two", "data": "2"},
		map[string]any{"channel": "private-encrypted-x", "name": "three", "data": 3},
	}), `{"batch":[{"subscription_count":1},{},{}]}`)
	want(t, "the first of a batch", alice.find("event", "channel", "news", "event", "one")["data"], `{"n":1}`)
	alice.find("event", "channel", "news", "event", "two")

	// The library passes what it does not know on.
	repeat := map[string]any{"idempotency_key": "order-1"}
	first := encode(t, s.call("trigger", "news", "order", 1, repeat))
	if again := encode(t, s.call("trigger", "news", "order", 1, repeat)); again != first {
		t.Errorf("the answers to a repeated event are %s and %s", first, again)
	}
	s.call("trigger", "news", "marker", 1)
	alice.find("event", "event", "order")
	alice.forget()
	alice.find("event", "event", "marker")
	alice.none("event", "event", "order")

	want(t, "channels", s.get("/channels", nil), `{"channels":{"news":{},"presence-room":{}}}`)
	want(t, "channels", s.get("/channels", map[string]any{"filter_by_prefix": "presence-", "info": "user_count"}), `{"channels":{"presence-room":{"user_count":1}}}`)
	want(t, "channels", s.get("/channels", map[string]any{"filter_by_prefix": "private-b@=,.;"}), `{"channels":{}}`)
	want(t, "a channel", s.get("/channels/news", map[string]any{"info": "subscription_count"}), `{"occupied":true,"subscription_count":1}`)
	want(t, "a channel", s.get("/channels/nobody", nil), `{"occupied":false}`)
	want(t, "users", s.get("/channels/presence-room/users", nil), `{"users":[{"id":"alice"}]}`)
	want(t, "users", s.get("/channels/presence-nobody/users", nil), `{"users":[]}`)
	want(t, "the answer of sendToUser", s.call("sendToUser", "nobody", "e", 1).(map[string]any)["channels"], `null`)
	want(t, "the answer of terminateUserConnections", s.call("terminateUserConnections", "user one"), `{}`)

	for _, test := range []struct {
		call      string
		arguments []any
		status    string
	}{
		{"trigger", []any{"news", "pusher:mine", "x"}, "400"},
		{"trigger", []any{"news", "e", strings.Repeat("x", 10_241)}, "413"},
		{"get", []any{map[string]any{"path": "/channels", "params": map[string]any{"info": "user_count"}}}, "400"},
		{"get", []any{map[string]any{"path": "/channels/news/users"}}, "400"},
		{"get", []any{map[string]any{"path": "/nothing"}}, "404"},
	} {
		answer := s.try(test.call, test.arguments...)
		if answer["is"] != "failed" || fmt.Sprint(answer["status"]) != test.status || answer["name"] != "PusherRequestError" {
			t.Errorf("%s%.60v: %v, want %s", test.call, test.arguments, answer, test.status)
		}
	}
	for option, status := range map[string]string{"secret": "401", "key": "401", "appId": "404"} {
		stranger := servePusher(t, net.JoinHostPort(s.host, fmt.Sprint(s.port)), map[string]any{option: "wrong", "useTLS": options != nil})
		if answer := stranger.try("trigger", "news", "e", 1); answer["is"] != "failed" || fmt.Sprint(answer["status"]) != status {
			t.Errorf("wrong %s: %v, want %s", option, answer, status)
		}
	}
}

// The official Go library, with pusher-js listening.
func TestPusherGoLibrary(t *testing.T) {
	t.Run("HTTP", func(t *testing.T) {
		at := address(t)
		serve(t, map[string]string{"20-pusher.yaml": pusherRoute(at, "process")})
		goLibrary(t, at, "http", http.DefaultClient)
	})
	t.Run("HTTPS", func(t *testing.T) {
		at := address(t)
		cert, key := certificate(t)
		t.Setenv("NODE_EXTRA_CA_CERTS", cert)
		serve(t, map[string]string{"20-pusher.yaml": withTLS(pusherRoute(at, "process"), at, cert, key)})
		roots := x509.NewCertPool()
		data, err := os.ReadFile(cert)
		if err != nil || !roots.AppendCertsFromPEM(data) {
			t.Fatal("no certificate", err)
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
		defer transport.CloseIdleConnections()
		goLibrary(t, at, "https", &http.Client{Transport: transport})
	})
}

// pusherURL is the whole app in one URL, as platforms keep it.
func pusherURL(scheme, at string) string {
	return fmt.Sprintf("%s://%s:%s@%s/apps/%s", scheme, pusherKey, pusherSecret, at, pusherID)
}

func goLibrary(t *testing.T, at, scheme string, over *http.Client) {
	c, err := pusher.ClientFromURL(pusherURL(scheme, at))
	if err != nil {
		t.Fatal(err)
	}
	c.HTTPClient, c.EncryptionMasterKeyBase64 = over, masterKey
	s := servePusher(t, at, map[string]any{"useTLS": c.Secure}) // for its pages
	var options map[string]any
	if c.Secure {
		options = overTLS(s.port)
	}
	alice := s.page(map[string]any{"user": map[string]any{"id": "alice"}, "options": options})
	alice.signIn()
	alice.enter("presence-room")
	alice.subscribe("private-encrypted-room")
	ok := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	info, prefix, users := "user_count,subscription_count", "presence-", "user_count"

	ok("Trigger", c.Trigger("presence-room", "été", map[string]any{"msg": "<&>"}))
	want(t, "data", alice.find("event", "event", "été")["data"], `{"msg":"\u003c\u0026\u003e"}`)
	ok("Trigger", c.Trigger("private-encrypted-room", "secret", map[string]any{"n": 1}))
	want(t, "data", alice.find("event", "event", "secret")["data"], `{"n":1}`)
	ok("SendToUser", c.SendToUser("alice", "hi", "you"))
	want(t, "data", alice.find("user", "event", "hi")["data"], `"you"`)
	_, err = c.TriggerWithParams("presence-room", "mine", 1, pusher.TriggerParams{SocketID: &alice.socket})
	ok("TriggerWithParams", err)
	batch, err := c.TriggerBatch([]pusher.Event{
		{Channel: "presence-room", Name: "b1", Data: 1, Info: &info},
		{Channel: "presence-room", Name: "b2", Data: 2},
	})
	if ok("TriggerBatch", err); batch == nil || len(batch.Batch) != 2 || *batch.Batch[0].UserCount != 1 || *batch.Batch[0].SubscriptionCount != 1 || batch.Batch[1].UserCount != nil {
		t.Errorf("the batch has %+v", batch)
	}
	alice.find("event", "event", "b1")
	alice.find("event", "event", "b2")
	alice.none("event", "event", "mine")

	list, err := c.Channels(pusher.ChannelsParams{FilterByPrefix: &prefix, Info: &users})
	if ok("Channels", err); !reflect.DeepEqual(list.Channels, map[string]pusher.ChannelListItem{"presence-room": {UserCount: 1}}) {
		t.Errorf("the channels are %+v", list)
	}
	channel, err := c.Channel("presence-room", pusher.ChannelParams{Info: &info})
	if ok("Channel", err); *channel != (pusher.Channel{Name: "presence-room", Occupied: true, UserCount: 1, SubscriptionCount: 1}) {
		t.Errorf("the channel is %+v", channel)
	}
	present, err := c.GetChannelUsers("presence-room")
	if ok("GetChannelUsers", err); !reflect.DeepEqual(present.List, []pusher.User{{ID: "alice"}}) {
		t.Errorf("the users are %+v", present)
	}

	for _, test := range []struct {
		change func(*pusher.Client)
		want   string
	}{
		{func(c *pusher.Client) { c.Secret = "wrong" }, "Status Code: 401 - Invalid signature"},
		{func(c *pusher.Client) { c.Key = "wrong" }, "Status Code: 401 - Unknown auth_key"},
		{func(c *pusher.Client) { c.AppID = "999" }, "Status Code: 404 - Unknown app_id"},
	} {
		stranger := *c
		test.change(&stranger)
		if err := stranger.Trigger("c", "e", 1); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %s", err, test.want)
		}
	}
}
