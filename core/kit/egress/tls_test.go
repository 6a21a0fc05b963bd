package egress

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core/kit/settings"
)

// pair writes a self-signed certificate and its key and returns their files.
func pair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "cert.pem", "CERTIFICATE", der), write(t, dir, "key.pem", "PRIVATE KEY", encoded)
}

func write(t *testing.T, dir, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLS(t *testing.T) {
	shown := ""
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		shown = ""
		if len(r.TLS.PeerCertificates) > 0 {
			shown = r.TLS.PeerCertificates[0].Subject.CommonName
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := write(t, dir, "ca.pem", "CERTIFICATE", server.Certificate().Raw)
	cert, key := pair(t, dir, "first")
	ask := func(config *TLS) error {
		client, err := config.Client()
		if err != nil {
			return err
		}
		_, err = get(t, newClient(t, Options{Policy: anywhere, TLS: client}), server.URL)
		return err
	}
	if err := ask(nil); err == nil {
		t.Error("an unknown authority is trusted")
	}
	if err := ask(&TLS{Verify: true, CA: ca}); err != nil {
		t.Error(err)
	}
	if err := ask(&TLS{Verify: false}); err != nil || shown != "" {
		t.Errorf("%v, shown %q", err, shown)
	}
	withCert := &TLS{Verify: true, CA: ca, Cert: cert, Key: key}
	if err := ask(withCert); err != nil || shown != "first" {
		t.Errorf("%v, shown %q", err, shown)
	}
	// A certificate that is renewed is shown by the next connection of a client.
	config, err := withCert.Client()
	if err != nil {
		t.Fatal(err)
	}
	pair(t, dir, "second")
	if _, err := get(t, newClient(t, Options{Policy: anywhere, TLS: config}), server.URL); err != nil || shown != "second" {
		t.Errorf("%v, shown %q", err, shown)
	}
	for _, broken := range []*TLS{{Verify: true, CA: dir + "/none"}, {Verify: true, CA: key}, {Verify: true, Cert: cert, Key: ca}} {
		if _, err := broken.Client(); err == nil {
			t.Errorf("%+v makes a client", broken)
		}
	}
}

func TestTLSCheck(t *testing.T) {
	for _, test := range []struct {
		config   *TLS
		findings int
		failed   bool
	}{
		{nil, 0, false}, {&TLS{Verify: true}, 0, false}, {&TLS{}, 1, false}, {&TLS{CA: "x"}, 2, true},
		{&TLS{Verify: true, Cert: "x"}, 1, true}, {&TLS{Verify: true, Key: "x"}, 1, true}, {&TLS{Verify: true, Cert: "x", Key: "y"}, 0, false},
	} {
		var report settings.Report
		test.config.Check("/tls", &report)
		if len(report.Findings) != test.findings || report.Failed() != test.failed {
			t.Errorf("%+v: %+v", test.config, report.Findings)
		}
	}
}
