package protocol

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for message, want := range map[string]string{
		`{"event":"e"}`:                           "e",
		`{"event":"e","EVENT":"f","Event":"g"}`:   "e",
		`{"EVENT":"f"}`:                           "!",
		`{"event":"a","event":"b"}`:               "b",
		` {"event" : "e" , "data" : [1] } `:       "e [1]",
		`{"event":"e","channel":5,"data":null}`:   "e null",
		`{"event":"e","channel":"c","data":"{}"}`: "e@c \"{}\"",
		`{"event":""}`:                            "",
		`{"event":5}`:                             "!",
		`{"event":null}`:                          "!",
		`null`:                                    "!",
		`[]`:                                      "!",
		`"event"`:                                 "!",
		``:                                        "!",
		`{"event":"e"}x`:                          "!",
		strings.Repeat(`[`, 50000):                "!",
		strings.Repeat(`{"event":`, 20000):        "!",
		`{"event":"e","data":` + deep(9000) + `}`:     "e " + deep(9000),
		`{"event":"e","data":` + deep(20000) + `}`:    "!",
		`{"event":"e","data":{"a":1},"data":{"b":2}}`: `e {"b":2}`,
	} {
		m, err := Parse([]byte(message))
		got := m.Event
		if m.Channel != "" {
			got += "@" + m.Channel
		}
		if m.Data != nil {
			got += " " + string(m.Data)
		}
		if err != nil {
			got = "!"
		}
		if got != want {
			t.Errorf("%.80s: %.80s, want %.80s", message, got, want)
		}
	}
}

func deep(n int) string { return strings.Repeat(`[`, n) + strings.Repeat(`]`, n) }

func TestFields(t *testing.T) {
	for data, want := range map[string]string{
		`{"channel":"c"}`:               "c",
		`"{\"channel\":\"c\"}"`:         "c",
		`{"Channel":"c"}`:               "",
		`{"channel":5}`:                 "",
		`"c"`:                           "",
		`[]`:                            "",
		`"\"{\\\"channel\\\":1}\""`:     "",
		``:                              "",
		`{"channel":"a","channel":"b"}`: "b",
	} {
		if got, _ := (Message{Data: json.RawMessage(data)}).Fields().String("channel"); got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
}

func TestText(t *testing.T) {
	for data, want := range map[string]string{
		`"text"`: "text", `""`: "", `5`: "5", `null`: "null", ` { "a" : [ 1.0 , 9007199254740993 ] } `: `{"a":[1.0,9007199254740993]}`,
		`"\u00fc\n"`: "ü\n",
	} {
		if got := (Message{Data: json.RawMessage(data)}).Text(); got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
}

// TestQuote compares with encoding/json what it reads of what is written.
func TestQuote(t *testing.T) {
	for _, text := range []string{"", "plain", `"\/`, "\x00\x1f\n\r\t\x7f", "<&>", "zoë ☃ 😀 \u2028", "\xff\xc3", "a\xe2\x98", "\ufffd"} {
		quoted := appendQuoted(nil, text)
		if again := appendQuoted(nil, []byte(text)); string(again) != string(quoted) {
			t.Errorf("%q: %s and %s", text, quoted, again)
		}
		var read string
		if err := json.Unmarshal(quoted, &read); err != nil || read != strings.ToValidUTF8(fixEach(text), "") {
			t.Errorf("%q: %s is read as %q, %v", text, quoted, read, err)
		}
	}
}

// fixEach replaces each byte that is no UTF-8.
func fixEach(text string) string {
	var b strings.Builder
	for _, r := range text {
		b.WriteRune(r)
	}
	return b.String()
}

func TestFrames(t *testing.T) {
	for _, test := range []struct{ frame, want string }{
		{string(Event("e", "c", `{"a":"<"}`, "")), `{"event":"e","channel":"c","data":"{\"a\":\"<\"}"}`},
		{string(Event("client-e", "presence-c", "x", "u")), `{"event":"client-e","channel":"presence-c","data":"x","user_id":"u"}`},
		{string(Established("1.2", 120)), `{"event":"pusher:connection_established","data":"{\"socket_id\":\"1.2\",\"activity_timeout\":120}"}`},
		{string(Error(4009, "no", "")), `{"event":"pusher:error","data":{"code":4009,"message":"no"}}`},
		{string(Error(CodeNone, "no", "c")), `{"event":"pusher:error","channel":"c","data":{"code":null,"message":"no"}}`},
		{string(SubscribedPresence("presence-c", nil)), `{"event":"pusher_internal:subscription_succeeded","channel":"presence-c","data":"{\"presence\":{\"count\":0,\"ids\":[],\"hash\":{}}}"}`},
		{string(MemberAdded("presence-c", Member{ID: "u"})), `{"event":"pusher_internal:member_added","channel":"presence-c","data":"{\"user_id\":\"u\"}"}`},
		{string(Watchlist(nil, []string{"a"})), `{"event":"pusher_internal:watchlist_events","data":"{\"events\":[{\"name\":\"offline\",\"user_ids\":[\"a\"]}]}"}`},
	} {
		if test.frame != test.want {
			t.Errorf("%s\nwant %s", test.frame, test.want)
		}
	}
	for _, c := range []Close{CloseUnsupportedData, CloseInvalidText, CloseTLSRequired, CloseUnknownApp, CloseRestart, CloseNoPong} {
		if len(c.Reason) > 123 || c.Code >= 4300 {
			t.Errorf("%+v", c)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"event":"pusher:subscribe","data":{"channel":"presence-c","auth":"k:s","channel_data":"{\"user_id\":1,\"user_info\":{}}"}}`,
		`{"event":"pusher:signin","data":"{\"auth\":\"k:s\",\"user_data\":\"{\\\"id\\\":\\\"u\\\",\\\"watchlist\\\":[\\\"a\\\"]}\"}"}`,
		`{"event":"client-x","channel":"private-c","data":{"a":"\ud800"}}`, `{"event":"\u0000"}`, `[`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data)
		if err != nil {
			return
		}
		fields := m.Fields()
		for _, name := range []string{"channel", "auth", "channel_data", "user_data"} {
			text, ok := fields.String(name)
			if !ok {
				continue
			}
			if member, err := ParseMember(text); err == nil {
				checkFrame(t, SubscribedPresence("presence-c", []Member{member}))
				checkFrame(t, MemberAdded("presence-c", member))
			}
			if u, err := ParseUser(text); err == nil {
				checkFrame(t, SignedIn(text))
				checkFrame(t, Watchlist(u.Watchlist, nil))
			}
		}
		if m.Data != nil {
			checkFrame(t, Event(m.Event, m.Channel, m.Text(), m.Event))
		}
		checkFrame(t, Error(CodeNone, m.Event, m.Channel))
	})
}

// checkFrame wants a frame that clients can read, with data in it.
func checkFrame(t *testing.T, frame []byte) {
	t.Helper()
	var read struct {
		Data json.RawMessage
	}
	if err := json.Unmarshal(frame, &read); err != nil || !utf8.Valid(frame) || read.Data == nil {
		t.Fatalf("%q: %v", frame, err)
	}
	var inner string
	if json.Unmarshal(read.Data, &inner) == nil && strings.HasPrefix(string(frame), `{"event":"pusher_internal:`) && !json.Valid([]byte(inner)) {
		t.Fatalf("%q: the data is no JSON", frame)
	}
}
