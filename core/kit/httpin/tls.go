package httpin

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheck is how often, at most, the files are looked at for changes.
const recheck = time.Second

// certificates serves a TLS configuration from files and reads them again when
// they have changed. Files that became unreadable or do not fit together keep
// the old configuration in use.
type certificates struct {
	files TLS
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	stamp   string    // of the files that current was read from
	checked time.Time // when stamp was last compared
}

// newCertificates reads the files once; the error names the one at fault.
func newCertificates(files TLS, log *slog.Logger) (*certificates, error) {
	c := &certificates{files: files, log: log, stamp: stampOf(files)}
	var err error
	c.current, err = load(files)
	c.checked = time.Now()
	return c, err
}

// config is the configuration for a listener; it asks for the files at each
// handshake.
func (c *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.latest(), nil
		},
	}
}

func (c *certificates) latest() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) < recheck {
		return c.current
	}
	c.checked = time.Now()
	stamp := stampOf(c.files)
	if stamp == c.stamp {
		return c.current
	}
	c.stamp = stamp
	loaded, err := load(c.files)
	if err != nil {
		c.log.Error("the changed TLS files cannot be used; the old ones stay in use", "error", err)
		return c.current
	}
	c.log.Info("TLS files were read again", "cert", c.files.Cert)
	c.current = loaded
	return loaded
}

func load(files TLS) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS certificate %s with key %s: %w", files.Cert, files.Key, err)
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if files.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("client certificate authorities: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client certificate authorities: %s holds no certificate", files.ClientCA)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// stampOf changes when one of the files does. A symlink that is swapped, as
// Kubernetes does, changes it too.
func stampOf(files TLS) string {
	stamp := ""
	for _, name := range []string{files.Cert, files.Key, files.ClientCA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			stamp += err.Error()
			continue
		}
		stamp += fmt.Sprintf("%s %d %d;", name, info.Size(), info.ModTime().UnixNano())
	}
	return stamp
}
