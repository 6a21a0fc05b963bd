package socket_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/pushbridge/bridge/core"
)

// script is one dialogue of the shared vectors.
type script struct {
	ID, Name string
	App      map[string]any
	Steps    []step
}

type step struct {
	Do, As, Path, Text, Left, Right, Method, Query string
	Handshake                                      *bool
	Headers                                        map[string]string
	Frame                                          json.RawMessage
	Frames                                         []pattern
	Fill                                           *struct {
		Prefix, Unit, Suffix string
		Times                int
	}
	Binary string `json:"binary_base64"`
	Sign   *struct{ Key, Secret, Input string }
	Times  int
	Code   int
	Skip   bool `json:"skip_frames"`
	MS     int
	Body   json.RawMessage
	Status int             `json:"expected_status"`
	Answer json.RawMessage `json:"expected_body"`
}

// pattern is what a frame must look like.
type pattern struct {
	Event, Channel string
	UserID         *string        `json:"user_id"`
	Text           *string        `json:"data_text"`
	JSON           any            `json:"data_json"`
	Object         map[string]any `json:"data_object"`
}

type vectors struct {
	Socket struct {
		Defaults struct {
			App  map[string]any
			Path string
		}
		Scripts []script
	}
}

func readVectors(t testing.TB) vectors {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDialogues replays the dialogues. Where they speak to the HTTP API, the
// event or the question that it would make goes to the instance.
func TestDialogues(t *testing.T) {
	v := readVectors(t)
	if len(v.Socket.Scripts) < 54 {
		t.Errorf("only %d scripts", len(v.Socket.Scripts))
	}
	for _, s := range v.Socket.Scripts {
		t.Run(s.ID, func(t *testing.T) {
			t.Log(s.Name)
			app := merge(v.Socket.Defaults.App, s.App)
			encoded, err := json.Marshal(app)
			if err != nil {
				t.Fatal(err)
			}
			listen := freeAddress(t)
			p := &player{
				instance: openConfig(t, nil, listen, fmt.Sprintf(`{"listen":%q,"apps":[%s]}`, listen, encoded)),
				t:        t, path: v.Socket.Defaults.Path, clients: make(map[string]*client),
				timed: app["watchlist"] == true,
			}
			for n, step := range s.Steps {
				if err := p.play(step); err != nil {
					t.Fatalf("step %d %s: %v", n, step.Do, err)
				}
			}
		})
	}
}

// merge lays the members of b over those of a, object by object.
func merge(a, b map[string]any) map[string]any {
	merged := maps.Clone(a)
	for name, value := range b {
		left, ok := merged[name].(map[string]any)
		right, ok2 := value.(map[string]any)
		if ok && ok2 {
			value = merge(left, right)
		}
		merged[name] = value
	}
	return merged
}

// player plays a script.
type player struct {
	*instance
	t       *testing.T
	path    string
	clients map[string]*client
	timed   bool // frames may come by themselves, so silence is a matter of time
}

func (p *player) play(s step) error {
	c := p.clients[s.As]
	switch s.Do {
	case "connect":
		return p.connect(s)
	case "send":
		return p.send(c, s)
	case "expect":
		var want pattern
		if err := decode(p.fill(string(s.Frame)), &want); err != nil {
			return err
		}
		frame, err := c.take(patience)
		if err != nil {
			return err
		}
		return want.match(frame)
	case "expect_all":
		return p.expectAll(c, s)
	case "expect_none":
		if p.timed {
			if frame, err := c.take(300 * time.Millisecond); err == nil {
				return fmt.Errorf("%s: %s", s.As, frame)
			}
		}
		c.quiet()
	case "expect_close":
		for s.Skip {
			if _, err := c.take(patience); err != nil {
				break
			}
		}
		c.expectClose(s.Code)
	case "expect_different":
		if p.fill(s.Left) == p.fill(s.Right) {
			return fmt.Errorf("both are %s", p.fill(s.Left))
		}
	case "close":
		c.close()
	case "wait":
		time.Sleep(time.Duration(s.MS) * time.Millisecond) // what the script says
	case "http":
		return p.http(s)
	default:
		return fmt.Errorf("unknown verb")
	}
	return nil
}

func (p *player) connect(s step) error {
	path := p.path
	if s.Path != "" {
		path = s.Path
	}
	header := http.Header{}
	for name, value := range s.Headers {
		header.Set(name, value)
	}
	c := p.dial(s.As, path, header)
	p.clients[s.As] = c
	if s.Handshake == nil || *s.Handshake {
		c.established()
	}
	return nil
}

// fill replaces the socket ids in a text.
func (p *player) fill(text string) string {
	for name, c := range p.clients {
		text = strings.ReplaceAll(text, "{{socket_id:"+name+"}}", c.socketID)
	}
	return text
}

func (p *player) send(c *client, s step) error {
	switch {
	case s.Binary != "":
		data, err := base64.StdEncoding.DecodeString(s.Binary)
		if err != nil {
			return err
		}
		c.write(websocket.MessageBinary, data)
	case s.Fill != nil:
		c.send(s.Fill.Prefix + strings.Repeat(s.Fill.Unit, s.Fill.Times) + s.Fill.Suffix)
	case s.Frame != nil:
		var compact bytes.Buffer
		if err := json.Compact(&compact, s.Frame); err != nil {
			return err
		}
		frame := p.fill(compact.String())
		if s.Sign != nil {
			if s.Sign.Key != appKey || s.Sign.Secret != appSecret {
				frame = strings.ReplaceAll(frame, "{{auth}}", s.Sign.Key+":"+hexHMAC(s.Sign.Secret, p.fill(s.Sign.Input)))
			}
			frame = strings.ReplaceAll(frame, "{{auth}}", sign(p.fill(s.Sign.Input)))
		}
		c.send(frame)
	default:
		for range max(s.Times, 1) {
			c.send(p.fill(s.Text))
		}
	}
	return nil
}

func (p *player) expectAll(c *client, s step) error {
	rest := slices.Clone(s.Frames)
	for range s.Frames {
		frame, err := c.take(patience)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(rest, func(want pattern) bool { return want.match(frame) == nil })
		if at < 0 {
			return fmt.Errorf("unexpected %s", frame)
		}
		rest = slices.Delete(rest, at, at+1)
	}
	return nil
}

// http does what the HTTP API would do.
func (p *player) http(s step) error {
	path := strings.TrimPrefix(s.Path, "/apps/3/")
	switch parts := strings.Split(path, "/"); {
	case path == "events":
		return p.publish(s)
	case parts[0] == "users":
		ask[core.Disconnected](p.instance, core.OpUserDisconnect, "", core.UserParams{User: parts[1]})
		return nil
	case len(parts) == 3:
		members := ask[core.Members](p.instance, core.OpChannelsMembers, parts[1], nil)
		users := []any{}
		for _, id := range members.Users {
			users = append(users, map[string]any{"id": id})
		}
		return s.answered(map[string]any{"users": users})
	case len(parts) == 2:
		got := ask[core.Channel](p.instance, core.OpChannelsGet, parts[1], core.ChannelParams{Cache: true})
		return s.answered(map[string]any{"occupied": got.Subscriptions > 0, "cache": map[string]any{
			"data": got.Cached.Data, "ttl": float64(int(time.Until(got.Cached.Expires).Seconds())),
		}})
	}
	listed := ask[core.Channels](p.instance, core.OpChannelsList, "", core.ChannelsParams{})
	found := map[string]any{}
	for name := range listed.Channels {
		found[name] = map[string]any{}
	}
	return s.answered(map[string]any{"channels": found})
}

func (p *player) publish(s step) error {
	var body struct {
		Name, Data string
		Channels   []string
		SocketID   string `json:"socket_id"`
	}
	if err := decode(p.fill(string(s.Body)), &body); err != nil {
		return err
	}
	for _, channel := range body.Channels {
		e := core.Event{Space: "3", Topic: channel, Name: body.Name, Type: core.TypeText, Data: []byte(body.Data)}
		if json.Valid(e.Data) {
			e.Type = core.TypeJSON
		}
		if user, direct := strings.CutPrefix(channel, "#server-to-user-"); direct {
			e.Topic, e.Direct, e.Only = "", true, core.Audience{core.AudienceUser: {user}}
		}
		if body.SocketID != "" {
			e.Except = core.Audience{core.AudienceSocket: {body.SocketID}}
		}
		if receipt := p.deliver(e); receipt.Err != nil {
			return receipt.Err
		}
	}
	return nil
}

func (s step) answered(got any) error {
	var want any
	if err := decode(string(s.Answer), &want); err != nil {
		return err
	}
	if !same(want, got) {
		return fmt.Errorf("answer %v, want %v", got, want)
	}
	return nil
}

func decode(text string, into any) error { return json.Unmarshal([]byte(text), into) }

// match compares a frame with a pattern.
func (want pattern) match(frame map[string]json.RawMessage) error {
	var problem string
	channel, hasChannel := frame["channel"]
	userID, hasUserID := frame["user_id"]
	switch {
	case text(frame["event"]) != want.Event:
		problem = "event"
	case want.Event != "pusher:error" && (hasChannel != (want.Channel != "") || text(channel) != want.Channel):
		problem = "channel"
	case hasUserID != (want.UserID != nil) || hasUserID && text(userID) != *want.UserID:
		problem = "user_id"
	case want.Text != nil && text(frame["data"]) != *want.Text:
		problem = "data_text"
	}
	if want.JSON != nil {
		var got any
		if decode(text(frame["data"]), &got) != nil || !same(want.JSON, got) {
			problem = "data_json"
		}
	}
	if want.Object != nil {
		var got map[string]any
		if decode(string(frame["data"]), &got) != nil {
			problem = "data_object"
		}
		for name, value := range want.Object {
			if member, there := got[name]; !there || !same(value, member) {
				problem = "data_object " + name
			}
		}
	}
	if problem != "" {
		return fmt.Errorf("%s: got %s, want %+v", problem, frame, want)
	}
	return nil
}

var socketIDs = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

// same compares a value with what is wanted, in which texts may be placeholders;
// the order of some lists is free.
func same(want, got any) bool {
	switch w := want.(type) {
	case string:
		g, ok := got.(string)
		contains, placeholder := strings.CutPrefix(w, "{{contains:")
		switch {
		case w == "{{integer}}":
			n, ok := got.(float64)
			return ok && n >= 0 && n == float64(int(n))
		case !ok:
			return false
		case w == "{{any}}":
			return g != ""
		case w == "{{new_socket_id}}":
			return socketIDs.MatchString(g)
		case placeholder:
			return strings.Contains(strings.ToLower(g), strings.ToLower(strings.TrimSuffix(contains, "}}")))
		}
		return g == w
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok || len(g) != len(w) {
			return false
		}
		for name, value := range w {
			member, there := g[name]
			if !there || !same(value, member) {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return false
		}
		rest := slices.Clone(g)
		for _, value := range w { // all lists in these dialogues are sets
			at := slices.IndexFunc(rest, func(entry any) bool { return same(value, entry) })
			if at < 0 {
				return false
			}
			rest = slices.Delete(rest, at, at+1)
		}
		return true
	}
	return reflect.DeepEqual(want, got)
}
