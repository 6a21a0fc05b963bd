package httpin

import (
	"log/slog"
	"net"
	"time"

	"golang.org/x/time/rate"
)

// adviceInterval is how often, at most, a listener says that clients speak TLS to
// it.
const adviceInterval = time.Minute

// tlsHandshake is the first byte of a TLS handshake, and of no HTTP request.
const tlsHandshake = 0x16

// tlsAdvice returns what is told of clients that speak TLS to a port without: they
// get nothing but an unreadable answer, so the log must say what is wrong.
func tlsAdvice(listen string, log *slog.Logger) func(from net.Addr) {
	seldom := &rate.Sometimes{Interval: adviceInterval}
	return func(from net.Addr) {
		seldom.Do(func() {
			log.Warn("a client speaks TLS to a port without TLS: configure tls here, or switch TLS off in the client (http:// for https://, ssl=False, use_tls: false, forceTLS: false)",
				"listen", listen, "client", from.String())
		})
	}
}
