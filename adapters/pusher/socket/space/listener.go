package space

import (
	crand "crypto/rand"
	"encoding/binary"
	"strconv"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
	"github.com/pushbridge/bridge/adapters/pusher/socket/watch"
	"github.com/pushbridge/bridge/core/kit/wsout"
)

// Listener is one established connection. It is the handler of its WebSocket:
// Message and Closed run in the connection's own goroutine, one at a time.
type Listener struct {
	space    *Space
	conn     *wsout.Conn
	version  int // of the protocol
	socketID string

	// The connection's goroutine alone uses these.
	nonsense int           // invalid messages in a row
	events   *rate.Limiter // of client events; nil before the first

	// The connection's goroutine changes these with space.mu held, and reads them
	// without.
	subscriptions map[string]*subscription
	user          *user // nil before sign-in
	identity      protocol.User
	watcher       *watch.Watcher
	toUser        bool // subscribed to the user's pseudo-channel
	authorized    bool

	// space.mu guards these.
	strangers *time.Timer // closes the connection if it stays unauthorized
	away      bool        // it was sent elsewhere
}

// subscription is a connection's place in a room.
type subscription struct {
	room   *room
	member *member // in a presence channel
}

// maxNonsense is how many invalid messages in a row end a connection.
const maxNonsense = 10

// Connect makes an accepted WebSocket a connection of the app and tells it so, or
// returns why not; then the caller closes it. In any case the caller serves it.
func (s *Space) Connect(conn *wsout.Conn, version int) (*Listener, *protocol.Close) {
	l := &Listener{space: s, conn: conn, version: version, socketID: newSocketID()}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.app.Load()
	switch {
	case s.shut:
		return nil, &protocol.CloseRestart
	case !a.Enabled: // it was, when the request came
		return nil, &protocol.CloseAppDisabled
	case a.Limits.Connections > 0 && len(s.listeners) >= a.Limits.Connections:
		return nil, &protocol.CloseOverQuota
	}
	s.listeners[l.socketID] = l
	s.options.Counts.Connections.Inc()
	s.options.Counts.Opened.Inc()
	conn.Send(wsout.Text(protocol.Established(l.socketID, int(a.ActivityTimeout.Std()/time.Second))))
	if wait := a.AuthorizedConnections.Std(); wait > 0 {
		l.strangers = s.later(wait, func(time.Time) {
			if !l.authorized {
				s.options.Counts.Error("not_authorized")
				l.Close(protocol.CloseNotAuthorized)
			}
		})
	}
	return l, nil
}

// newSocketID makes an id that nobody can guess: two numbers of 53 bits, which
// every client can hold.
func newSocketID() string {
	var random [16]byte
	_, _ = crand.Read(random[:]) // never fails
	const mask = 1<<53 - 1
	id := strconv.AppendUint(make([]byte, 0, 33), binary.LittleEndian.Uint64(random[:])&mask, 10)
	id = strconv.AppendUint(append(id, '.'), binary.LittleEndian.Uint64(random[8:])&mask, 10)
	return string(id)
}

// Close closes the connection; clients of protocol 5 are told why in an event,
// too.
func (l *Listener) Close(c protocol.Close) { Farewell(l.conn, l.version, c) }

// SendAway closes the connection so that its client comes back elsewhere, and
// keeps its place until it had the time to.
func (l *Listener) SendAway() {
	l.space.mu.Lock()
	l.away = true
	l.space.mu.Unlock()
	l.Close(protocol.CloseRestart)
}

// Farewell closes a WebSocket that speaks that version of the protocol.
func Farewell(conn *wsout.Conn, version int, c protocol.Close) {
	const errorsAsEvents = 5
	if version == errorsAsEvents {
		conn.Send(wsout.Text(protocol.Error(c.Code, c.Reason, "")))
	}
	conn.Close(c.Code, c.Reason)
}

// Message implements wsout.Handler.
func (l *Listener) Message(data []byte, _ bool) {
	l.space.options.Counts.Received.Inc()
	m, err := protocol.Parse(data)
	if err != nil {
		l.space.options.Counts.Error("invalid_message")
		if l.nonsense++; l.nonsense >= maxNonsense {
			l.Close(protocol.CloseNonsense)
			return
		}
		l.error(protocol.CodeNone, "Invalid message: it must be a JSON object with a string member event", "")
		return
	}
	l.nonsense = 0
	switch m.Event {
	case protocol.EventPing:
		l.conn.Send(l.space.pong)
	case protocol.EventPong: // that it came is all there is to it
	case protocol.EventSubscribe:
		l.subscribe(m)
	case protocol.EventUnsubscribe:
		l.unsubscribe(m)
	case protocol.EventSignIn:
		l.signIn(m)
	default:
		l.other(m)
	}
}

// other handles messages that are no commands of the protocol.
func (l *Listener) other(m protocol.Message) {
	switch {
	case strings.HasPrefix(m.Event, protocol.PrefixClient):
		l.clientEvent(m)
	case strings.HasPrefix(m.Event, protocol.PrefixInternal):
		l.complain("reserved_event", "Events whose name begins with pusher_internal: come from the server alone", "")
	case strings.HasPrefix(m.Event, protocol.PrefixProtocol):
		l.complain("unknown_event", "Unknown event "+clip(m.Event), "")
	default:
		l.complain("client_event", "Client event rejected - the name of a client event begins with client-", m.Channel)
	}
}

// Closed implements wsout.Handler.
func (l *Listener) Closed(end wsout.End) {
	s := l.space
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, l.socketID)
	s.options.Counts.Connections.Dec()
	if end.Slow {
		s.options.Counts.Evicted.Inc()
	}
	if l.strangers != nil {
		l.strangers.Stop()
	}
	now := time.Now()
	for name := range l.subscriptions {
		s.part(now, l, name)
	}
	s.signOut(now, l)
	if !s.shut {
		s.schedule(now)
	}
}

// SocketID is the id of the connection, unique in the world.
func (l *Listener) SocketID() string { return l.socketID }

func (l *Listener) send(frame []byte) { l.conn.Send(wsout.Text(frame)) }

func (l *Listener) error(code int, message, channel string) {
	l.send(protocol.Error(code, message, channel))
}

// complain counts a request that is refused, and tells the client. reason is for
// the metrics.
func (l *Listener) complain(reason, message, channel string) {
	l.space.options.Counts.Error(reason)
	l.error(protocol.CodeNone, message, channel)
}

// clip shortens what a client sent for an answer to it.
func clip(text string) string {
	const enough = 200
	if len(text) <= enough {
		return text
	}
	return strings.ToValidUTF8(text[:enough], "") + "…"
}
