package socket

import (
	"net/http"
	"strconv"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/adapters/pusher/socket/space"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// The bounds of one connection that are nobody's wish to change.
const (
	queueMessages = 4096
	queueBytes    = 2 << 20
	writeTimeout  = 10 * time.Second
	closeTimeout  = 5 * time.Second
	pongTimeout   = 30 * time.Second
	// lateness is how much later than the client, which is told the activity
	// timeout, the server looks whether a silent connection is alive.
	lateness = 30 * time.Second
)

// socketSettings are the settings of an app's connections.
func socketSettings(a *app.Config) *wsout.Settings {
	ping := wsout.Text(protocol.Ping)
	return &wsout.Settings{
		MaxMessage: int64(a.Limits.Frame), TextOnly: true,
		QueueMessages: queueMessages, QueueBytes: queueBytes, WriteTimeout: writeTimeout, Slow: farewell(protocol.CloseSlow),
		IdleTimeout: a.ActivityTimeout.Std() + lateness, PongTimeout: pongTimeout, Silent: farewell(protocol.CloseNoPong),
		Ping: func(c *wsout.Conn) {
			c.Ping()
			if !c.Ponged() {
				c.Send(ping) // it may not understand the other
			}
		},
		CloseTimeout: closeTimeout,
	}
}

// refusedSettings are those of a connection that is only told why it is refused.
var refusedSettings = wsout.Settings{
	MaxMessage: 4 << 10, TextOnly: true, QueueMessages: 16, QueueBytes: 4 << 10, WriteTimeout: writeTimeout,
	Slow: farewell(protocol.CloseSlow), CloseTimeout: closeTimeout,
}

func farewell(c protocol.Close) wsout.Farewell { return wsout.Farewell{Code: c.Code, Reason: c.Reason} }

// ServeHTTP makes a request a connection. A client that may not have one is told
// why by a close code: the answer to the request itself its script cannot see,
// and would try again for ever.
func (i *Instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, code := protocolVersion(r)
	entry, refused := i.admit(r)
	if refused == nil {
		refused = code
	}
	settings := &refusedSettings
	if refused == nil {
		settings = entry.settings
	}
	conn, err := i.writer.Accept(w, r, settings)
	if err != nil {
		return // Accept has answered
	}
	var handler wsout.Handler = nobody{}
	if refused == nil {
		var l *space.Listener
		if l, refused = entry.space.Connect(conn, p); refused == nil {
			handler = l
			i.host.Log().Debug("connected", "app", entry.app.ID, "socket", l.SocketID(),
				"client", clip(r.URL.Query().Get("client")), "version", clip(r.URL.Query().Get("version")))
		}
	}
	if refused != nil {
		i.metrics.Refused.WithLabelValues(strconv.Itoa(refused.Code)).Inc()
		space.Farewell(conn, p, *refused)
	}
	conn.Serve(handler)
}

// clip keeps what a client says of itself short.
func clip(text string) string { return text[:min(len(text), 64)] }

// admit finds the app that a request is for, or the reason to refuse it.
func (i *Instance) admit(r *http.Request) (*entry, *protocol.Close) {
	current := i.apps.Load()
	a, _, known := current.set.ByKey(r.PathValue("key"))
	switch {
	case i.draining.Load():
		return nil, &protocol.CloseRestart
	case known && a.TLSOnly && i.proxies.Client(r).Scheme != "https":
		return nil, &protocol.CloseTLSRequired
	case !known:
		return nil, &protocol.CloseUnknownApp
	case !a.Enabled:
		return nil, &protocol.CloseAppDisabled
	case !originAllowed(r.Header.Get("Origin"), a.AllowedOrigins):
		return nil, &protocol.CloseOrigin
	}
	return current.byID[string(a.ID)], nil
}

// protocolVersion reads the version of the protocol that a client speaks, 0 if
// that cannot be told.
func protocolVersion(r *http.Request) (version int, refused *protocol.Close) {
	text := r.URL.Query().Get("protocol")
	if text == "" {
		return 0, &protocol.CloseVersionMissing
	}
	version, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return 0, &protocol.CloseVersionMalformed
	case version < 5 || version > 7:
		return version, &protocol.CloseVersionUnknown
	}
	return version, nil
}

// nobody is the handler of a refused connection.
type nobody struct{}

// Message implements wsout.Handler.
func (nobody) Message([]byte, bool) {}

// Closed implements wsout.Handler.
func (nobody) Closed(wsout.End) {}
