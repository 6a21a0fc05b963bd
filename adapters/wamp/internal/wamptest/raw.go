// Package wamptest is a WAMP client for tests that says exactly what it is told
// to say, also what no client should.
package wamptest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// Patience bounds what tests wait for; it decides nothing else.
const Patience = 20 * time.Second

// Raw is a connection to a router. Its methods fail the test on errors that the
// test does not ask for.
type Raw struct {
	t     testing.TB
	ws    *websocket.Conn
	codec *codec.Codec
}

// Dial connects. The connection is cut when the test ends.
func Dial(t testing.TB, url, serializer string, header http.Header) *Raw {
	t.Helper()
	return dial(t, url, serializer, &websocket.DialOptions{HTTPHeader: header})
}

// DialOn is Dial by a connection that stands already.
func DialOn(t testing.TB, conn net.Conn, url, serializer string) *Raw {
	t.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	return dial(t, url, serializer, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
}

func dial(t testing.TB, url, serializer string, options *websocket.DialOptions) *Raw {
	t.Helper()
	c := codec.Named(serializer)
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	options.Subprotocols = []string{c.Subprotocol()}
	ws, _, err := websocket.Dial(ctx, url, options)
	if err != nil {
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { ws.CloseNow() })
	return &Raw{t: t, ws: ws, codec: c}
}

// Join connects and joins a realm as anonymous, with all roles and features.
func Join(t testing.TB, url, serializer, realm string) *Raw {
	t.Helper()
	raw := Dial(t, url, serializer, nil)
	raw.Send(Hello(realm, nil))
	raw.Welcome()
	return raw
}

// Hello is a HELLO with all roles, and with more details.
func Hello(realm string, more wamp.Dict) *wamp.Hello {
	features := wamp.Dict{}
	for _, name := range []string{
		wamp.FeaturePubIdent, wamp.FeaturePayloadPassthruMode, wamp.FeatureProgCallInvocations,
		wamp.FeatureProgCallResults, wamp.FeatureCallCanceling, wamp.FeatureCallerIdent,
	} {
		features[name] = true
	}
	details := wamp.Dict{"roles": wamp.Dict{
		"publisher": wamp.Dict{"features": features}, "subscriber": wamp.Dict{"features": features},
		"caller": wamp.Dict{"features": features}, "callee": wamp.Dict{"features": features},
	}}
	for name, value := range more {
		details[name] = value
	}
	return &wamp.Hello{Realm: wamp.URI(realm), Details: details}
}

// Send sends a message.
func (r *Raw) Send(msg wamp.Message) {
	r.t.Helper()
	data, err := r.codec.Encode(msg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.SendBytes(data)
}

// SendBytes sends bytes as a message.
func (r *Raw) SendBytes(data []byte) {
	r.t.Helper()
	kind := websocket.MessageText
	if r.codec.Binary() {
		kind = websocket.MessageBinary
	}
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	if err := r.ws.Write(ctx, kind, data); err != nil {
		r.t.Fatalf("send %s: %v", data, err)
	}
}

// Read returns the next message, or the error that is the end.
func (r *Raw) Read() (wamp.Message, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	_, data, err := r.ws.Read(ctx)
	if err != nil {
		return nil, err
	}
	msg, err := r.codec.Decode(data)
	if err != nil {
		r.t.Errorf("the router sent %q: %v", data, err)
	}
	return msg, err
}

// Receive returns the next message, which must be of type M.
func Receive[M wamp.Message](r *Raw) M {
	r.t.Helper()
	msg, err := r.Read()
	if err != nil {
		var want M
		r.t.Fatalf("want %T, got %v", want, err)
	}
	typed, ok := msg.(M)
	if !ok {
		var want M
		r.t.Fatalf("want %T, got %T %+v", want, msg, msg)
	}
	return typed
}

// Welcome receives WELCOME.
func (r *Raw) Welcome() *wamp.Welcome {
	r.t.Helper()
	return Receive[*wamp.Welcome](r)
}

// Subscribe subscribes and returns the subscription's id.
func (r *Raw) Subscribe(topic, match string) wamp.ID {
	r.t.Helper()
	r.Send(&wamp.Subscribe{Request: wamp.GlobalID(), Options: wamp.Dict{"match": match}, Topic: wamp.URI(topic)})
	return Receive[*wamp.Subscribed](r).Subscription
}

// Ended reads until the connection ends, and returns the close code, -1 if there
// was none, with the last message before.
func (r *Raw) Ended() (websocket.StatusCode, wamp.Message) {
	r.t.Helper()
	var last wamp.Message
	for {
		msg, err := r.Read()
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) {
				r.t.Fatal("the router does not end the connection")
			}
			return websocket.CloseStatus(err), last
		}
		last = msg
	}
}

// Close ends the connection politely.
func (r *Raw) Close() { _ = r.ws.Close(websocket.StatusNormalClosure, "") }
