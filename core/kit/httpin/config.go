package httpin

import (
	"net"
	"strconv"
	"strings"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Config is what every adapter that listens for HTTP has in its configuration.
type Config struct {
	Listen         string   `json:"listen" jsonschema:"required,minLength=1,example=127.0.0.1:8080,example=unix:/run/bridge/push.sock" jsonschema_description:"Address to listen on: host:port or unix:/path."`
	TLS            *TLS     `json:"tls,omitempty" jsonschema_description:"Serve TLS. The files are read again when they change."`
	TrustedProxies []string `json:"trusted_proxies,omitempty" jsonschema_description:"Networks of the proxies whose X-Forwarded-For, Forwarded and X-Forwarded-Proto headers count. unix stands for peers on a unix socket."`
	Limits         Limits   `json:"limits,omitempty" jsonschema_description:"Limits of the HTTP server. Instances that share an address must agree on them."`
}

// TLS names the files of a TLS listener.
type TLS struct {
	Cert     string `json:"cert" jsonschema:"required,minLength=1" jsonschema_description:"PEM file with the certificate and its chain."`
	Key      string `json:"key" jsonschema:"required,minLength=1" jsonschema_description:"PEM file with the private key."`
	ClientCA string `json:"client_ca,omitempty" jsonschema_description:"PEM file with certificate authorities; clients must show a certificate of one of them."`
}

// Limits bound what a client can make the server hold or wait for.
type Limits struct {
	MaxBody        settings.Size     `json:"max_body" jsonschema_extras:"default=1MiB" jsonschema_description:"Longest request body; 0 means no limit."`
	MaxHeader      settings.Size     `json:"max_header" jsonschema_extras:"default=64KiB" jsonschema_description:"Longest request header."`
	HeaderTimeout  settings.Duration `json:"header_timeout" jsonschema:"default=10s" jsonschema_description:"Time to send the request header."`
	BodyTimeout    settings.Duration `json:"body_timeout" jsonschema:"default=30s" jsonschema_description:"Time to send the request body."`
	IdleTimeout    settings.Duration `json:"idle_timeout" jsonschema:"default=2m" jsonschema_description:"Time that a connection may wait between requests."`
	MaxConnections int               `json:"max_connections" jsonschema:"default=20000,minimum=1" jsonschema_description:"Connections open at a time; more wait until one closes."`
}

// Check reports what is wrong with the configuration.
func (c *Config) Check(report *settings.Report) {
	if err := CheckAddress(c.Listen); err != "" {
		report.Error("/listen", "%s", err)
	}
	for i, network := range c.TrustedProxies {
		if network == unixPeers {
			continue
		}
		if _, err := ParseNetwork(network); err != nil {
			report.Error(settings.Path("trusted_proxies", i), "%v", err)
		}
	}
}

// Address is the listening address with the paths served there, for
// core.Validation.
func (c *Config) Address(paths ...string) core.Address {
	return core.Address{Listen: c.Listen, Paths: paths, TLS: c.TLS != nil}
}

// CheckAddress says what is wrong with an address to listen on; "" if nothing
// is.
func CheckAddress(address string) string {
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		switch {
		case !strings.HasPrefix(path, "/"):
			return "a unix socket needs an absolute path: unix:/run/bridge/push.sock"
		case len(path) > maxSocketPath:
			return "the path of a unix socket has at most 107 bytes"
		}
		return ""
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return `"` + address + `" is no address: write host:port (127.0.0.1:8080, :8080, [::1]:8080) or unix:/path`
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return `"` + port + `" is no port: want a number from 0 to 65535`
	}
	return ""
}

// maxSocketPath is the kernel's limit.
const maxSocketPath = 107
