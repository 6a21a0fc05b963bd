package httpin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
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
)

// authority signs certificates for tests.
type authority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	dir         string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.certificate, a.key = a.issue("authority", nil)
	a.write("ca.pem", "CERTIFICATE", a.certificate.Raw)
	return a
}

// issue makes a certificate; the first one signs itself.
func (a *authority) issue(name string, parent *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	signer := a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return certificate, key
}

// save issues a certificate into NAME.pem and NAME.key.
func (a *authority) save(file, name string) {
	a.t.Helper()
	certificate, key := a.issue(name, a.certificate)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	a.write(file+".pem", "CERTIFICATE", certificate.Raw)
	a.write(file+".key", "EC PRIVATE KEY", der)
}

func (a *authority) write(file, kind string, der []byte) {
	a.t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(a.path(file), text, 0o600); err != nil {
		a.t.Fatal(err)
	}
}

func (a *authority) path(file string) string { return filepath.Join(a.dir, file) }

// config is a TLS endpoint's, with more members of tls.
func (a *authority) config(more string) Config {
	return configOf(a.t, fmt.Sprintf(`{"listen":"127.0.0.1:0","tls":{"cert":%q,"key":%q%s}}`, a.path("server.pem"), a.path("server.key"), more))
}

// client trusts the authority; with a name it shows the certificate of that file.
func (a *authority) client(file string) *http.Client {
	a.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.certificate)
	if file != "" {
		certificate, err := tls.LoadX509KeyPair(a.path(file+".pem"), a.path(file+".key"))
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	a.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// served is the name on the certificate that a new connection is shown.
func (a *authority) served(url string) string {
	a.t.Helper()
	client := a.client("")
	defer client.CloseIdleConnections()
	response, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	return response.TLS.PeerCertificates[0].Subject.CommonName
}

func TestTLS(t *testing.T) {
	noLeaks(t)
	a := newAuthority(t)
	a.save("server", "server")
	e := startEndpoint(t, newTestHost(t), a.config(""), "/a", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %v", r.Proto, r.TLS != nil)
	})
	want(t, a.client(""), "https://"+e.Addr().String()+"/a", 200, "HTTP/2.0 true")
	old := a.client("")
	transport := old.Transport.(*http.Transport)
	transport.ForceAttemptHTTP2 = false
	transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
	want(t, old, "https://"+e.Addr().String()+"/a", 200, "HTTP/1.1 true")
	transport.TLSClientConfig.MaxVersion = tls.VersionTLS11
	transport.CloseIdleConnections()
	want(t, old, "https://"+e.Addr().String()+"/a", 0, "")
}

func TestClientCertificates(t *testing.T) {
	noLeaks(t)
	a, stranger := newAuthority(t), newAuthority(t)
	a.save("server", "server")
	a.save("client", "client")
	stranger.save("client", "client")
	e := startEndpoint(t, newTestHost(t), a.config(fmt.Sprintf(`,"client_ca":%q`, a.path("ca.pem"))), "/a", saying("a"))
	url := "https://" + e.Addr().String() + "/a"
	want(t, a.client("client"), url, 200, "a")
	want(t, a.client(""), url, 0, "")
	foreign := stranger.client("client")
	foreign.Transport.(*http.Transport).TLSClientConfig.RootCAs.AddCert(a.certificate)
	want(t, foreign, url, 0, "")
}

// TestTLSReload changes the files under a running endpoint.
func TestTLSReload(t *testing.T) {
	noLeaks(t)
	a := newAuthority(t)
	a.save("server", "first")
	files := TLS{Cert: a.path("server.pem"), Key: a.path("server.key")}
	host := newTestHost(t)
	c, err := newCertificates(files, host.Log())
	if err != nil {
		t.Fatal(err)
	}
	name := func(later bool) string {
		if later {
			c.checked = time.Time{} // the files were last looked at long ago
		}
		certificate, err := x509.ParseCertificate(c.latest().Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return certificate.Subject.CommonName
	}
	if got := name(true); got != "first" {
		t.Error(got)
	}
	a.save("server", "the second")
	c.checked = time.Now()
	if got := name(false); got != "first" {
		t.Errorf("the files are looked at each time: %s", got)
	}
	if got := name(true); got != "the second" {
		t.Error(got)
	}
	if err := os.WriteFile(files.Cert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := name(true); got != "the second" {
		t.Errorf("a broken file is used: %s", got)
	}
	if log := host.logged(); !strings.Contains(log, "cannot be used") {
		t.Errorf("log: %s", log)
	}
	if err := os.Remove(files.Key); err != nil {
		t.Fatal(err)
	}
	if got := name(true); got != "the second" {
		t.Errorf("a missing file is used: %s", got)
	}
	a.save("server", "number three")
	if got := name(true); got != "number three" {
		t.Error(got)
	}
}

// TestTLSReloadServes shows the new certificate to the next connection.
func TestTLSReloadServes(t *testing.T) {
	noLeaks(t)
	a := newAuthority(t)
	a.save("server", "first")
	e := startEndpoint(t, newTestHost(t), a.config(""), "/a", saying("a"))
	url := "https://" + e.Addr().String() + "/a"
	if got := a.served(url); got != "first" {
		t.Error(got)
	}
	a.save("server", "the second")
	c := e.server.certificates
	c.mu.Lock()
	c.checked = time.Time{} // the files were last looked at long ago
	c.mu.Unlock()
	if got := a.served(url); got != "the second" {
		t.Error(got)
	}
}

func TestTLSFilesAtFault(t *testing.T) {
	a := newAuthority(t)
	a.save("server", "server")
	a.save("other", "other")
	if err := os.WriteFile(a.path("empty.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range []TLS{
		{Cert: a.path("missing.pem"), Key: a.path("server.key")},
		{Cert: a.path("server.pem"), Key: a.path("missing.key")},
		{Cert: a.path("server.pem"), Key: a.path("other.key")},
		{Cert: a.path("server.pem"), Key: a.path("server.key"), ClientCA: a.path("missing.pem")},
		{Cert: a.path("server.pem"), Key: a.path("server.key"), ClientCA: a.path("empty.pem")},
	} {
		config := configOf(t, anyPort)
		config.TLS = &files
		if _, err := NewEndpoint(newTestHost(t), config, nil); err == nil || !strings.Contains(err.Error(), a.dir) {
			t.Errorf("%+v: %v", files, err)
		}
	}
}
