//go:build integration

package integration

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// dialogue is one conversation of the shared vectors, between clients, the HTTP
// API and the socket server.
type dialogue struct {
	ID, Name string
	App      map[string]any
	Steps    []dialogueStep
}

type dialogueStep struct {
	Do, As, Path, Text, Left, Right, Method, Query string
	Handshake                                      *bool
	Headers                                        map[string]string
	Frame                                          json.RawMessage
	Frames                                         []json.RawMessage
	Fill                                           *struct {
		Prefix, Unit, Suffix string
		Times                int
	}
	Binary      []byte `json:"binary_base64"`
	Sign        *struct{ Key, Secret, Input string }
	Times, Code int
	SkipFrames  bool `json:"skip_frames"`
	MS          int
	Body        json.RawMessage
	Status      int             `json:"expected_status"`
	Answer      json.RawMessage `json:"expected_body"`
}

// Every dialogue with a pair of instances of its own, all of them served by one
// bridge.
func TestPusherDialogues(t *testing.T) {
	vectors := readPusherVectors(t, "socket").Socket
	if len(vectors.Scripts) < 54 {
		t.Errorf("only %d dialogues", len(vectors.Scripts))
	}
	files, addresses := make(map[string]string), distinct(t, len(vectors.Scripts))
	for n, d := range vectors.Scripts {
		at := addresses[n]
		config := map[string]any{"listen": at, "apps": []any{merged(vectors.Defaults.App, d.App)}}
		files[d.ID+".json"] = encode(t, map[string]any{
			"inbound":  map[string]any{"adapter": "pusher-rest", "isolation": "none", "config": config},
			"outbound": map[string]any{"adapter": "pusher-socket", "isolation": "none", "config": config},
		})
	}
	for _, r := range serve(t, files).status(t).Routes {
		if r.State != "ready" {
			t.Fatalf("%s: %s %+v", r.Route, r.Problem, r.Findings)
		}
	}
	for n, d := range vectors.Scripts {
		t.Run(d.ID, func(t *testing.T) {
			t.Parallel() // some of them wait
			t.Log(d.Name)
			app := vectors.Defaults.App
			p := &dialoguePlayer{
				t: t, at: addresses[n], path: vectors.Defaults.Path, key: app["key"].(string), secret: app["secret"].(string),
				speakers: make(map[string]*speaker), timed: d.App["watchlist"] == true,
			}
			for at, step := range d.Steps {
				if err := p.play(step); err != nil {
					t.Fatalf("step %d, %s: %v", at, step.Do, err)
				}
			}
		})
	}
}

// distinct are free addresses, no two of them the same.
func distinct(t *testing.T, n int) (addresses []string) {
	t.Helper()
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() // when all are found
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}

// merged lays the members of b over those of a, object by object.
func merged(a, b map[string]any) map[string]any {
	all := maps.Clone(a)
	for name, value := range b {
		left, ok := all[name].(map[string]any)
		right, ok2 := value.(map[string]any)
		if ok && ok2 {
			value = merged(left, right)
		}
		all[name] = value
	}
	return all
}

// dialoguePlayer plays a dialogue.
type dialoguePlayer struct {
	t                     *testing.T
	at, path, key, secret string
	speakers              map[string]*speaker
	timed                 bool // frames may come by themselves, so that silence takes time
}

// speaker is a client of a dialogue. When the connection ends, frames is closed,
// and then there is a code.
type speaker struct {
	conn     *websocket.Conn
	socketID string
	frames   chan map[string]json.RawMessage
	code     int
}

func (p *dialoguePlayer) play(s dialogueStep) error {
	c := p.speakers[s.As]
	switch s.Do {
	case "connect":
		return p.connect(s)
	case "send":
		return p.send(c, s)
	case "expect":
		return p.expect(c, []json.RawMessage{s.Frame})
	case "expect_all":
		return p.expect(c, s.Frames)
	case "expect_none":
		return p.expectNone(c)
	case "expect_close":
		return c.expectClose(s.Code, s.SkipFrames)
	case "expect_different":
		if p.fill(s.Left) == p.fill(s.Right) {
			return fmt.Errorf("both are %s", p.fill(s.Left))
		}
	case "close":
		_ = c.conn.Close(websocket.StatusCode(s.Code), "") // it is gone either way
	case "wait":
		<-time.After(time.Duration(s.MS) * time.Millisecond) // what the dialogue is about
	case "http":
		return p.http(s)
	default:
		return errors.New("unknown verb")
	}
	return nil
}

func (p *dialoguePlayer) connect(s dialogueStep) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	path := p.path
	if s.Path != "" {
		path = s.Path
	}
	header := make(http.Header)
	for name, value := range s.Headers {
		header.Set(name, value)
	}
	conn, _, err := websocket.Dial(ctx, "ws://"+p.at+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		return err
	}
	p.t.Cleanup(func() { _ = conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	c := &speaker{conn: conn, frames: make(chan map[string]json.RawMessage, 1000)} // more than any dialogue has
	p.speakers[s.As] = c
	go c.read()
	if s.Handshake != nil && !*s.Handshake {
		return nil
	}
	frame, err := c.take(patience)
	if err != nil {
		return err
	}
	var established struct {
		SocketID string `json:"socket_id"`
	}
	err = json.Unmarshal([]byte(text(frame["data"])), &established)
	c.socketID = established.SocketID
	if err != nil || text(frame["event"]) != "pusher:connection_established" {
		return fmt.Errorf("the first frame is %s: %w", frame, err)
	}
	return nil
}

func (c *speaker) read() {
	defer close(c.frames)
	for {
		_, data, err := c.conn.Read(context.Background())
		if err != nil {
			c.code = int(websocket.CloseStatus(err))
			return
		}
		var frame map[string]json.RawMessage
		_ = json.Unmarshal(data, &frame) // a frame that is none matches nothing
		c.frames <- frame
	}
}

func (c *speaker) take(within time.Duration) (map[string]json.RawMessage, error) {
	select {
	case frame, ok := <-c.frames:
		if !ok {
			return nil, fmt.Errorf("closed with %d", c.code)
		}
		return frame, nil
	case <-time.After(within):
		return nil, errors.New("no frame came")
	}
}

// fill replaces the socket ids in a text.
func (p *dialoguePlayer) fill(text string) string {
	for name, c := range p.speakers {
		text = strings.ReplaceAll(text, "{{socket_id:"+name+"}}", c.socketID)
	}
	return text
}

func (p *dialoguePlayer) send(c *speaker, s dialogueStep) error {
	message, kind := []byte(p.fill(s.Text)), websocket.MessageText
	switch {
	case s.Binary != nil:
		message, kind = s.Binary, websocket.MessageBinary
	case s.Fill != nil:
		message = []byte(s.Fill.Prefix + strings.Repeat(s.Fill.Unit, s.Fill.Times) + s.Fill.Suffix)
	case s.Frame != nil:
		frame := p.fill(compact(s.Frame))
		if s.Sign != nil {
			frame = strings.ReplaceAll(frame, "{{auth}}", s.Sign.Key+":"+hexHMAC(s.Sign.Secret, p.fill(s.Sign.Input)))
		}
		message = []byte(frame)
	}
	for range max(s.Times, 1) {
		// What the server says to it is what counts, not whether it reads all of it.
		_ = c.conn.Write(context.Background(), kind, message)
	}
	return nil
}

// expect takes as many frames as there are patterns, in any order.
func (p *dialoguePlayer) expect(c *speaker, patterns []json.RawMessage) error {
	rest := slices.Clone(patterns)
	for range patterns {
		frame, err := c.take(patience)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(rest, func(pattern json.RawMessage) bool { return p.matches(pattern, frame) })
		if at < 0 {
			return fmt.Errorf("the frame is %s, want %s", frame, rest)
		}
		rest = slices.Delete(rest, at, at+1)
	}
	return nil
}

// expectNone wants nothing to be on its way: the answer to a ping comes next.
func (p *dialoguePlayer) expectNone(c *speaker) error {
	if p.timed {
		if frame, err := c.take(300 * time.Millisecond); err == nil {
			return fmt.Errorf("there is %s", frame)
		}
	}
	_ = c.conn.Write(context.Background(), websocket.MessageText, []byte(`{"event":"pusher:ping","data":{}}`))
	return p.expect(c, []json.RawMessage{[]byte(`{"event":"pusher:pong","data_json":{}}`)})
}

func (c *speaker) expectClose(code int, skip bool) error {
	for {
		frame, err := c.take(patience)
		switch {
		case err == nil && skip:
		case err == nil:
			return fmt.Errorf("a frame is left: %s", frame)
		case c.code != code:
			return fmt.Errorf("%w, want %d", err, code)
		default:
			return nil
		}
	}
}

// matches compares a frame with a pattern.
func (p *dialoguePlayer) matches(pattern json.RawMessage, frame map[string]json.RawMessage) bool {
	var want map[string]any
	_ = json.Unmarshal([]byte(p.fill(string(pattern))), &want)
	for _, name := range []string{"event", "channel", "user_id"} {
		wanted, is := want[name]
		got, there := frame[name]
		free := name == "channel" && want["event"] == "pusher:error"
		if !free && (is != there || is && text(got) != wanted) {
			return false
		}
	}
	var data any
	if text := text(frame["data"]); text != "" {
		_ = json.Unmarshal([]byte(text), &data)
	}
	if wanted, is := want["data_text"]; is && text(frame["data"]) != wanted {
		return false
	}
	if wanted, is := want["data_json"]; is && !alike(wanted, data) {
		return false
	}
	if wanted, is := want["data_object"].(map[string]any); is {
		var object map[string]any
		_ = json.Unmarshal(frame["data"], &object)
		for name, value := range wanted {
			if member, there := object[name]; !there || !alike(value, member) {
				return false
			}
		}
	}
	return true
}

// http sends a signed request to the HTTP API.
func (p *dialoguePlayer) http(s dialogueStep) error {
	body := p.fill(compact(s.Body))
	parameters := []string{"auth_key=" + p.key, fmt.Sprint("auth_timestamp=", time.Now().Unix()), "auth_version=1.0"}
	if body != "" {
		parameters = append(parameters, fmt.Sprintf("body_md5=%x", md5.Sum([]byte(body))))
	}
	if s.Query != "" {
		parameters = append(parameters, s.Query) // one, which sorts last
	}
	query := strings.Join(parameters, "&")
	signature := hexHMAC(p.secret, s.Method+"\n"+s.Path+"\n"+query)
	request, err := http.NewRequest(s.Method, "http://"+p.at+s.Path+"?"+query+"&auth_signature="+signature, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var got, want any
	if json.Unmarshal(answer, &got) != nil || json.Unmarshal(s.Answer, &want) != nil || response.StatusCode != s.Status || !alike(want, got) {
		return fmt.Errorf("%d %s, want %d %s", response.StatusCode, answer, s.Status, s.Answer)
	}
	return nil
}

// alike compares a value with what is wanted, in which texts may be placeholders;
// the lists of these dialogues are sets.
func alike(want, got any) bool {
	switch want := want.(type) {
	case string:
		return alikeText(want, got)
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(object) != len(want) {
			return false
		}
		for name, value := range want {
			if member, there := object[name]; !there || !alike(value, member) {
				return false
			}
		}
		return true
	case []any:
		list, ok := got.([]any)
		rest := slices.Clone(list)
		for _, value := range want {
			at := slices.IndexFunc(rest, func(entry any) bool { return alike(value, entry) })
			if at < 0 {
				return false
			}
			rest = slices.Delete(rest, at, at+1)
		}
		return ok && len(rest) == 0
	}
	return want == got
}

func alikeText(want string, got any) bool {
	if want == "{{integer}}" {
		number, ok := got.(float64)
		return ok && number >= 0 && number == float64(int(number))
	}
	text, ok := got.(string)
	part, contains := strings.CutPrefix(want, "{{contains:")
	switch {
	case !ok:
		return false
	case want == "{{any}}":
		return text != ""
	case want == "{{event_id}}":
		return eventIDs.MatchString(`"` + text + `"`)
	case want == "{{new_socket_id}}":
		before, after, dot := strings.Cut(text, ".")
		return dot && digits(before) && digits(after)
	case contains:
		return strings.Contains(strings.ToLower(text), strings.ToLower(strings.TrimSuffix(part, "}}")))
	}
	return text == want
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// text is a JSON string; "" if it is none.
func text(raw json.RawMessage) (s string) {
	_ = json.Unmarshal(raw, &s)
	return s
}

// compact is JSON without blanks.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if len(raw) > 0 && json.Compact(&b, raw) != nil {
		return ""
	}
	return b.String()
}

func hexHMAC(secret, text string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}
