package egress

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/pushbridge/bridge/core/kit/settings"
)

// TLS is the part of a configuration on how servers are verified, and the bridge
// towards them.
type TLS struct {
	Verify bool   `json:"verify" jsonschema:"default=true" jsonschema_description:"Verify the server's certificate. false lets anybody on the way read and change what is sent."`
	CA     string `json:"ca,omitempty" jsonschema_description:"PEM file with the certificate authorities to trust instead of the system's."`
	Cert   string `json:"cert,omitempty" jsonschema_description:"PEM file with the client certificate to show, and its chain. It is read again for every new connection."`
	Key    string `json:"key,omitempty" jsonschema_description:"PEM file with the private key of cert."`
}

// Check reports what is wrong with the configuration; path leads to it.
func (t *TLS) Check(path string, report *settings.Report) {
	if t == nil {
		return
	}
	if (t.Cert == "") != (t.Key == "") {
		report.Error(path, "cert and key belong together: give both or none")
	}
	if !t.Verify {
		report.Warning(path+"/verify", "the server's certificate is not verified: anybody on the way can read and change what is sent")
		if t.CA != "" {
			report.Error(path+"/ca", "ca has no effect with verify: false")
		}
	}
}

// Client makes the configuration for a client; that of nil verifies servers by
// the system's authorities.
func (t *TLS) Client() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if t == nil {
		return config, nil
	}
	config.InsecureSkipVerify = !t.Verify
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("certificate authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authorities: %s holds no certificate", t.CA)
		}
	}
	if t.Cert == "" {
		return config, nil
	}
	show := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate %s with key %s: %w", t.Cert, t.Key, err)
		}
		return &certificate, nil
	}
	if _, err := show(nil); err != nil { // now rather than at the first request
		return nil, err
	}
	config.GetClientCertificate = show
	return config, nil
}
