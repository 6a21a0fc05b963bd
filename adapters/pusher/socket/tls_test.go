package socket_test

import (
	"context"
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
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// TestTLS has an app that takes nothing else.
func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	listen := freeAddress(t)
	i := openConfig(t, nil, listen, fmt.Sprintf(`{"listen":%q,"tls":{"cert":%q,"key":%q},"apps":[{"id":"3","key":%q,"secret":%q,"tls_only":true}]}`,
		listen, cert, key, appKey, appSecret))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // it signed itself
	defer transport.CloseIdleConnections()
	conn, _, err := websocket.Dial(ctx, "wss://"+listen+"/app/"+appKey+"?"+defaultQuery, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	read := func(want string) {
		t.Helper()
		if _, message, err := conn.Read(ctx); err != nil || !strings.Contains(string(message), want) {
			t.Fatalf("%.100s %v, want %s", message, err, want)
		}
	}
	conn.SetReadLimit(-1)
	read("connection_established")
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"event":"pusher:subscribe","data":{"channel":"c"}}`)); err != nil {
		t.Fatal(err)
	}
	read("subscription_succeeded")
	large := strings.Repeat("x", 1<<20)
	if i.push("c", "e", large) != 1 {
		t.Error("nobody got it")
	}
	read(large)
}

// certificate writes a certificate of its own to files.
func certificate(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
