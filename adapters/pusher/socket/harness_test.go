package socket_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// patience bounds what tests wait for; it decides nothing else.
const patience = 10 * time.Second

// The credentials of tests.
const (
	appKey    = "278d425bdf160c739803"
	appSecret = "7ad3773142a6692b25b8"
)

// instance is a running instance with what tests ask of it.
type instance struct {
	core.Instance
	t      testing.TB
	listen string
	ids    int
}

// config makes a configuration of one app, whose settings are JSON members.
func config(listen, app string) string {
	return fmt.Sprintf(`{"listen":%q,"apps":[{"id":"3","key":%q,"secret":%q,"client_events":true%s}]}`, listen, appKey, appSecret, more(app))
}

func more(members string) string {
	if members == "" {
		return ""
	}
	return "," + members
}

// open opens and starts an instance with one app.
func open(t testing.TB, host core.Host, app string) *instance {
	t.Helper()
	listen := freeAddress(t)
	return openConfig(t, host, listen, config(listen, app))
}

func openConfig(t testing.TB, host core.Host, listen, config string) *instance {
	t.Helper()
	if host == nil {
		host = coretest.NewHost(t)
	}
	return openWith(t, host, listen, config, func(core.Instance) {})
}

// openWith lets the test do something between Open and Start.
func openWith(t testing.TB, host core.Host, listen, config string, between func(core.Instance)) *instance {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	opened, err := socket.Adapter{}.Open(t.Context(), "test", json.RawMessage(config), host)
	if err != nil {
		t.Fatal(err)
	}
	between(opened)
	i := &instance{Instance: opened, t: t, listen: listen}
	t.Cleanup(func() {
		i.stop()
		if !t.Failed() {
			goleak.VerifyNone(t, leaks)
		}
	})
	if err := i.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *instance) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := i.Stop(ctx); err != nil {
		i.t.Error(err)
	}
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// deliver hands one event over and returns its receipt.
func (i *instance) deliver(e core.Event) core.Receipt {
	i.t.Helper()
	i.ids++
	if e.ID == "" {
		e.ID = fmt.Sprintf("%036d", i.ids)
	}
	var receipt core.Receipt
	batch := core.NewBatch([]core.Event{e}, func(_, _ int, r core.Receipt) { receipt = r })
	if err := i.Instance.(core.Sink).Deliver(context.Background(), batch); err != nil {
		i.t.Fatal(err)
	}
	return receipt // this sink answers before Deliver returns
}

// push delivers an event that must be accepted and returns how many got it.
func (i *instance) push(channel, name, data string) int {
	i.t.Helper()
	receipt := i.deliver(core.Event{Space: "3", Topic: channel, Name: name, Type: core.TypeText, Data: []byte(data)})
	if receipt.Err != nil {
		i.t.Fatal(receipt.Err)
	}
	return receipt.Receivers
}

// ask asks a question and reads the answer into a T.
func ask[T any](i *instance, op, topic string, params any) T {
	i.t.Helper()
	call, err := core.NewCall(op, "3", topic, params)
	if err != nil {
		i.t.Fatal(err)
	}
	answer := i.Instance.(core.Answerer).Answer(context.Background(), call)
	var data T
	if answer.Err != nil || answer.None {
		i.t.Fatalf("%s: %+v", op, answer)
	}
	if err := answer.Decode(&data); err != nil {
		i.t.Fatal(err)
	}
	return data
}

// client is a strict one: it takes no frame that the protocol does not allow.
type client struct {
	t        testing.TB
	name     string
	conn     *websocket.Conn
	frames   chan map[string]json.RawMessage
	closed   chan struct{} // closed when code and reason are known
	code     int
	reason   string
	socketID string
}

const defaultQuery = "protocol=7&client=js&version=8.6.0&flash=false"

// connect opens a connection and takes its first frame.
func (i *instance) connect(name string) *client {
	i.t.Helper()
	c := i.dial(name, "/app/"+appKey+"?"+defaultQuery, nil)
	c.established()
	return c
}

// dial opens a WebSocket.
func (i *instance) dial(name, path string, header http.Header) *client {
	i.t.Helper()
	ctx, cancel := context.WithTimeout(i.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+i.listen+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		i.t.Fatalf("%s: %v", name, err)
	}
	conn.SetReadLimit(-1)
	c := &client{t: i.t, name: name, conn: conn, frames: make(chan map[string]json.RawMessage, 1<<16), closed: make(chan struct{})}
	go c.read()
	i.t.Cleanup(func() {
		c.conn.CloseNow()
		<-c.closed
	})
	return c
}

func (c *client) read() {
	defer close(c.closed)
	for {
		kind, data, err := c.conn.Read(context.Background())
		if err != nil {
			var end websocket.CloseError
			if errors.As(err, &end) {
				c.code, c.reason = int(end.Code), end.Reason
			}
			return
		}
		var frame map[string]json.RawMessage
		if err := json.Unmarshal(data, &frame); err != nil || kind != websocket.MessageText {
			c.t.Errorf("%s: no frame: %q", c.name, data)
			continue
		}
		if err := strict(frame); err != nil {
			c.t.Errorf("%s: %v: %s", c.name, err, data)
		}
		c.frames <- frame
	}
}

// strict checks what holds for every frame of a server.
func strict(frame map[string]json.RawMessage) error {
	event := text(frame["event"])
	if event == "" {
		return errors.New("without event")
	}
	for name, value := range frame {
		switch name {
		case "event", "channel", "user_id":
			if text(value) == "" {
				return fmt.Errorf("%s is no string", name)
			}
		case "data":
		default:
			return fmt.Errorf("with %s", name)
		}
	}
	if event == "pusher:error" {
		var data struct {
			Code    *int
			Message string
		}
		if err := json.Unmarshal(frame["data"], &data); err != nil || data.Message == "" || frame["data"][0] != '{' {
			return errors.New("the data of an error is an object with code and message")
		}
		return nil
	}
	if len(frame["data"]) == 0 || frame["data"][0] != '"' {
		return errors.New("data is no string")
	}
	return nil
}

func text(raw json.RawMessage) string {
	var s string
	_ = json.Unmarshal(raw, &s) // what is no string is ""
	return s
}

// next returns the next frame.
func (c *client) next() map[string]json.RawMessage {
	c.t.Helper()
	frame, err := c.take(patience)
	if err != nil {
		c.t.Fatal(err)
	}
	return frame
}

func (c *client) take(within time.Duration) (map[string]json.RawMessage, error) {
	select {
	case frame := <-c.frames:
		return frame, nil
	default:
	}
	timeout := time.NewTimer(within)
	defer timeout.Stop()
	select {
	case frame := <-c.frames:
		return frame, nil
	case <-c.closed:
		select {
		case frame := <-c.frames:
			return frame, nil
		default:
		}
		return nil, fmt.Errorf("%s: closed with %d %q, want a frame", c.name, c.code, c.reason)
	case <-timeout.C:
		return nil, fmt.Errorf("%s: no frame came", c.name)
	}
}

// expect wants a frame next: its event, channel, and data as a string.
func (c *client) expect(event, channel, data string) {
	c.t.Helper()
	frame := c.next()
	if text(frame["event"]) != event || text(frame["channel"]) != channel || !sameJSON(text(frame["data"]), data) {
		c.t.Fatalf("%s: %s %s %s, want %s %s %s", c.name, frame["event"], frame["channel"], frame["data"], event, channel, data)
	}
}

// expectError wants an error next, with a message that contains a text.
func (c *client) expectError(code int, contains string) {
	c.t.Helper()
	frame := c.next()
	var data struct {
		Code    int
		Message string
	}
	_ = json.Unmarshal(frame["data"], &data) // checked by strict
	if text(frame["event"]) != "pusher:error" || data.Code != code || !strings.Contains(data.Message, contains) {
		c.t.Fatalf("%s: %s %s, want pusher:error %d %s", c.name, frame["event"], frame["data"], code, contains)
	}
}

func sameJSON(a, b string) bool {
	var left, right any
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil {
		return a == b
	}
	return reflect.DeepEqual(left, right)
}

// quiet wants no frame to be on its way.
func (c *client) quiet() {
	c.t.Helper()
	c.send(`{"event":"pusher:ping","data":{}}`)
	c.expect("pusher:pong", "", "{}")
}

// expectClose wants the server to close, with no frame unread.
func (c *client) expectClose(code int) {
	c.t.Helper()
	select {
	case <-c.closed:
	case <-time.After(patience):
		c.t.Fatalf("%s: not closed, want %d", c.name, code)
	}
	if c.code != code {
		c.t.Fatalf("%s: closed with %d %q, want %d", c.name, c.code, c.reason, code)
	}
	select {
	case frame := <-c.frames:
		c.t.Fatalf("%s: an unread frame: %s", c.name, frame)
	default:
	}
}

func (c *client) established() {
	c.t.Helper()
	frame := c.next()
	var data struct {
		SocketID string `json:"socket_id"`
		Activity int    `json:"activity_timeout"`
	}
	if err := json.Unmarshal([]byte(text(frame["data"])), &data); err != nil || text(frame["event"]) != "pusher:connection_established" || data.Activity <= 0 {
		c.t.Fatalf("%s: first frame %s", c.name, frame)
	}
	c.socketID = data.SocketID
}

func (c *client) send(message string) {
	c.t.Helper()
	c.write(websocket.MessageText, []byte(message))
}

func (c *client) write(kind websocket.MessageType, data []byte) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, kind, data); err != nil {
		c.t.Logf("%s: write: %v", c.name, err) // what the server said of it is what counts
	}
}

func (c *client) close() {
	c.t.Helper()
	_ = c.conn.Close(websocket.StatusNormalClosure, "")
	<-c.closed
}

func quote(s string) string {
	data, _ := json.Marshal(s)
	return string(data)
}

func sign(text string) string { return appKey + ":" + hexHMAC(appSecret, text) }

func hexHMAC(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

// subscribe subscribes, signed if the channel wants that, with channel_data if
// any, and leaves the answer to be read.
func (c *client) subscribe(channel, channelData string) {
	c.t.Helper()
	signed, extra := c.socketID+":"+channel, ""
	if channelData != "" {
		signed += ":" + channelData
		extra = `,"channel_data":` + quote(channelData)
	}
	auth := ""
	if strings.HasPrefix(channel, "private-") || strings.HasPrefix(channel, "presence-") {
		auth = sign(signed)
	}
	c.send(`{"event":"pusher:subscribe","data":{"channel":` + quote(channel) + `,"auth":` + quote(auth) + extra + `}}`)
}

// subscribed subscribes to a channel without members and wants success.
func (c *client) subscribed(channel string) {
	c.t.Helper()
	c.subscribe(channel, "")
	c.expect("pusher_internal:subscription_succeeded", channel, "{}")
}

// joined subscribes to a presence channel as a user and wants these members.
func (c *client) joined(channel, user string, members ...string) {
	c.t.Helper()
	c.subscribe(channel, `{"user_id":`+quote(user)+`}`)
	frame := c.next()
	var data struct {
		Presence struct {
			Count int
			IDs   []string
			Hash  map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(text(frame["data"])), &data); err != nil || text(frame["event"]) != "pusher_internal:subscription_succeeded" {
		c.t.Fatalf("%s: %s %s", c.name, frame["event"], frame["data"])
	}
	p := data.Presence
	if p.Count != len(members) || len(p.IDs) != len(members) || len(p.Hash) != len(members) {
		c.t.Fatalf("%s: members %+v, want %v", c.name, p, members)
	}
	for _, m := range members {
		if _, ok := p.Hash[m]; !ok {
			c.t.Fatalf("%s: members %+v, want %v", c.name, p, members)
		}
	}
}

func (c *client) unsubscribe(channel string) {
	c.t.Helper()
	c.send(`{"event":"pusher:unsubscribe","data":{"channel":` + quote(channel) + `}}`)
}

// signedIn signs in and wants success.
func (c *client) signedIn(userData string) {
	c.t.Helper()
	c.send(`{"event":"pusher:signin","data":{"auth":` + quote(sign(c.socketID+"::user::"+userData)) + `,"user_data":` + quote(userData) + `}}`)
	c.expect("pusher:signin_success", "", `{"user_data":`+quote(userData)+`}`)
}
