package codec_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gammazero/nexus/v3/transport/serialize"
	"github.com/gammazero/nexus/v3/wamp"
	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// messages has each message type once, with payload where it may have one.
func messages() []wamp.Message {
	args, kwargs := wamp.List{int64(1), "two", []any{true, nil}}, wamp.Dict{"k": map[string]any{"deep": 1.5}}
	return []wamp.Message{
		&wamp.Hello{Realm: "realm1", Details: wamp.Dict{"roles": map[string]any{"publisher": map[string]any{}}}},
		&wamp.Welcome{ID: wamp.MaxID, Details: wamp.Dict{"authrole": "r"}},
		&wamp.Abort{Details: wamp.Dict{"message": "m"}, Reason: wamp.ErrNoSuchRealm},
		&wamp.Challenge{AuthMethod: "ticket", Extra: wamp.Dict{}},
		&wamp.Authenticate{Signature: "s", Extra: wamp.Dict{}},
		&wamp.Goodbye{Details: wamp.Dict{}, Reason: wamp.CloseRealm},
		&wamp.Error{Type: wamp.PUBLISH, Request: 1, Details: wamp.Dict{}, Error: wamp.ErrInvalidURI, Arguments: args, ArgumentsKw: kwargs},
		&wamp.Publish{Request: 1, Options: wamp.Dict{"acknowledge": true}, Topic: "a.b", Arguments: args, ArgumentsKw: kwargs},
		&wamp.Publish{Request: 1, Options: wamp.Dict{}, Topic: "a.b", Arguments: args},
		&wamp.Publish{Request: 1, Options: wamp.Dict{}, Topic: "a.b"},
		&wamp.Published{Request: 1, Publication: 2},
		&wamp.Subscribe{Request: 1, Options: wamp.Dict{"match": "prefix"}, Topic: "a."},
		&wamp.Subscribed{Request: 1, Subscription: 2},
		&wamp.Unsubscribe{Request: 1, Subscription: 2},
		&wamp.Unsubscribed{Request: 1},
		&wamp.Event{Subscription: 1, Publication: 2, Details: wamp.Dict{}, Arguments: args, ArgumentsKw: kwargs},
		&wamp.Call{Request: 1, Options: wamp.Dict{}, Procedure: "p", Arguments: args, ArgumentsKw: kwargs},
		&wamp.Cancel{Request: 1, Options: wamp.Dict{}},
		&wamp.Result{Request: 1, Details: wamp.Dict{}, Arguments: args, ArgumentsKw: kwargs},
		&wamp.Register{Request: 1, Options: wamp.Dict{}, Procedure: "p"},
		&wamp.Registered{Request: 1, Registration: 2},
		&wamp.Unregister{Request: 1, Registration: 2},
		&wamp.Unregistered{Request: 1},
		&wamp.Invocation{Request: 1, Registration: 2, Details: wamp.Dict{}, Arguments: args, ArgumentsKw: kwargs},
		&wamp.Interrupt{Request: 1, Options: wamp.Dict{}},
		&wamp.Yield{Request: 1, Options: wamp.Dict{}, Arguments: args, ArgumentsKw: kwargs},
	}
}

func forEach(t *testing.T, test func(t *testing.T, c *codec.Codec)) {
	for _, name := range codec.Names() {
		t.Run(name, func(t *testing.T) { test(t, codec.Named(name)) })
	}
}

func TestRoundTrip(t *testing.T) {
	forEach(t, func(t *testing.T, c *codec.Codec) {
		for _, msg := range messages() {
			data, err := c.Encode(msg)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Decode(data)
			if err != nil {
				t.Fatalf("%s: %v", msg.MessageType(), err)
			}
			if diff := cmp.Diff(msg, got); diff != "" {
				t.Errorf("%s (-sent +got):\n%s", msg.MessageType(), diff)
			}
		}
	})
}

// TestNexus wants the library's own codecs to understand ours, and the other
// way round.
func TestNexus(t *testing.T) {
	theirs := map[string]serialize.Serializer{
		"json": &serialize.JSONSerializer{}, "msgpack": &serialize.MessagePackSerializer{}, "cbor": &serialize.CBORSerializer{},
	}
	forEach(t, func(t *testing.T, c *codec.Codec) {
		for _, msg := range messages() {
			ours, err := c.Encode(msg)
			if err != nil {
				t.Fatal(err)
			}
			their, err := theirs[c.Name()].Deserialize(ours)
			if err != nil {
				t.Fatalf("%s: nexus reads ours: %v", msg.MessageType(), err)
			}
			data, err := theirs[c.Name()].Serialize(their)
			if err != nil {
				t.Fatal(err)
			}
			got, err := c.Decode(data)
			if err != nil {
				t.Fatalf("%s: reading nexus's: %v", msg.MessageType(), err)
			}
			if diff := cmp.Diff(msg, got); diff != "" {
				t.Errorf("%s (-sent +got):\n%s", msg.MessageType(), diff)
			}
		}
	})
}

// TestValues is the table of what becomes of Go values on the wire.
func TestValues(t *testing.T) {
	same := func(v any) map[string]any { return map[string]any{"json": v, "msgpack": v, "cbor": v} }
	tests := []struct {
		name string
		sent any
		json string // as it stands in the message; "" if the value's own text is not of interest
		want map[string]any
	}{
		{"int64", int64(math.MinInt64), "-9223372036854775808", same(int64(math.MinInt64))},
		{"2^53", int64(1 << 53), "9007199254740992", same(int64(1 << 53))},
		{"uint64", uint64(math.MaxUint64), "18446744073709551615", same(uint64(math.MaxUint64))},
		{"float with integral value", 1.0, "1.0", same(1.0)},
		{"float", -1.25e-7, "", same(-1.25e-7)},
		{"large float", 1e300, "1e+300", same(1e300)},
		{"negative zero", math.Copysign(0, -1), "-0.0", same(math.Copysign(0, -1))},
		{"infinity", math.Inf(1), "null", map[string]any{"json": nil, "msgpack": math.Inf(1), "cbor": math.Inf(1)}},
		{"bytes", []byte{0, 255}, `"\u0000AP8="`, same([]byte{0, 255})},
		{"no bytes", []byte{}, `"\u0000"`, same([]byte{})},
		{"text", "<a> & \"b\" \u2028 ü \x00no base64", "", same("<a> & \"b\" \u2028 ü \x00no base64")},
		{"markup", "<&>", `"<&>"`, same("<&>")},
		{"nested", map[string]any{"l": []any{nil, true, map[string]any{}}}, `{"l":[null,true,{}]}`, same(map[string]any{"l": []any{nil, true, map[string]any{}}})},
		{"invalid UTF-8", "a\xff", "", map[string]any{"json": "a\ufffd", "msgpack": "a\xff", "cbor": "a\xff"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			forEach(t, func(t *testing.T, c *codec.Codec) {
				data, err := c.Encode(&wamp.Publish{Request: 1, Options: wamp.Dict{}, Topic: "t", Arguments: wamp.List{tt.sent}})
				if err != nil {
					t.Fatal(err)
				}
				if want := `[16,1,{},"t",[` + tt.json + `]]`; c.Name() == "json" && tt.json != "" && string(data) != want {
					t.Errorf("wrote %s, want %s", data, want)
				}
				msg, err := c.Decode(data)
				if err != nil {
					t.Fatal(err)
				}
				got, want := msg.(*wamp.Publish).Arguments[0], tt.want[c.Name()]
				if !reflect.DeepEqual(got, want) {
					t.Errorf("got %#v, want %#v", got, want)
				}
			})
		})
	}
}

func TestKwargsWithoutArgs(t *testing.T) {
	data, err := codec.Named("json").Encode(&wamp.Publish{Request: 1, Topic: "t", ArgumentsKw: wamp.Dict{"a": int64(1)}})
	if want := `[16,1,{},"t",[],{"a":1}]`; err != nil || string(data) != want {
		t.Errorf("got %s, %v; want %s", data, err, want)
	}
}

func TestDecodeJSON(t *testing.T) {
	tests := []struct{ data, want string }{
		{`[16,1,{},"t"]`, ""},
		{` [16,1,null,"t",null,{"a":1}] `, ""},
		{`[16,1,{},"t",["\ud83d"]]`, ""}, // what JavaScript makes of half an emoji
		{``, "is no json"},
		{`[`, "is no json"},
		{`{"16":1}`, "no array"},
		{`null`, "no array"},
		{`"[16]"`, "no array"},
		{`[]`, "empty"},
		{`["16",1,{},"t"]`, "type is no integer"},
		{`[16.0,1,{},"t"]`, "type is no integer"},
		{`[7,1]`, "no message has the type 7"},
		{`[99999999999999999999]`, "type is no integer"},
		{`[16,1,{},"t"] x`, "behind"},
		{`[16,1,{},"t"][]`, "behind"},
		{`[16,1,{},"t",[],{},1]`, "too many"},
		{`[16,1,{}]`, "topic is missing"},
		{`[16,1,{},5]`, "topic is no string"},
		{`[16,0,{},"t"]`, "request is no integer"},
		{`[16,-1,{},"t"]`, "request is no integer"},
		{`[16,1.5,{},"t"]`, "request is no integer"},
		{`[16,1.0,{},"t"]`, "request is no integer"},
		{`[16,9007199254740993,{},"t"]`, "request is no integer"},
		{`[16,9007199254740992,{},"t"]`, ""},
		{`[16,true,{},"t"]`, "request is no integer"},
		{`[16,1,[],"t"]`, "options is no dictionary"},
		{`[16,1,{},"t",{}]`, "args are no list"},
		{`[16,1,{},"t",[],[]]`, "kwargs are no dictionary"},
		{`[16,1,{},"t",[1e400]]`, "out of range"},
		{`[16,1,{},"t",[01]]`, "is no json"},
		{"[16,1,{},\"t\xff\"]", "UTF-8"},
		{`[16,1,{},"t",` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `]`, "is no json"},
	}
	for _, tt := range tests {
		_, err := codec.Named("json").Decode([]byte(tt.data))
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%.60s: got %v, want %q", tt.data, err, tt.want)
		}
	}
}

func TestDecodeBinary(t *testing.T) {
	tests := []struct{ name, codec, data, want string }{
		{"msgpack", "msgpack", "\x94\x10\x01\x80\xa1t", ""},
		{"msgpack: bytes behind", "msgpack", "\x94\x10\x01\x80\xa1t\x00", "behind"},
		{"msgpack: extension", "msgpack", "\x95\x10\x01\x80\xa1t\x91\xc7\x01\x05a", "extension"},
		{"msgpack: a topic of bytes", "msgpack", "\x94\x10\x01\x80\xc4\x01t", "topic is no string"},
		{"msgpack: a map", "msgpack", "\x81\xa1a\x01", "no array"},
		{"msgpack: short", "msgpack", "\x94\x10\x01\x80", "is no msgpack"},
		{"msgpack: claims 4G elements", "msgpack", "\xdd\xff\xff\xff\xff", "is no msgpack"},
		{"msgpack: a fractional id", "msgpack", "\x94\x10\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00\x80\xa1t", "no integer"},
		{"msgpack: topic is no UTF-8", "msgpack", "\x94\x10\x01\x80\xa1\xff", "topic is no string"},
		{"cbor", "cbor", "\x84\x10\x01\xa0\x61t", ""},
		{"cbor: bytes behind", "cbor", "\x84\x10\x01\xa0\x61t\x00", "behind"},
		{"cbor: unknown tag", "cbor", "\x85\x10\x01\xa0\x61t\x81\xd8\x20\x61a", "extension"},
		{"cbor: a map", "cbor", "\xa1\x61a\x01", "no array"},
		{"cbor: claims 2^64 elements", "cbor", "\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "is no cbor"},
		{"cbor: deep", "cbor", strings.Repeat("\x81", 1<<20), "is no cbor"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := codec.Named(tt.codec).Decode([]byte(tt.data))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzDecode wants no panic, and from what was decoded a message that stays
// the same when it is written and read again.
func FuzzDecode(f *testing.F) {
	for _, name := range codec.Names() {
		for _, msg := range messages() {
			data, err := codec.Named(name).Encode(msg)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(name, data)
		}
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		c := codec.Named(name)
		if c == nil {
			return
		}
		msg, err := c.Decode(data)
		if err != nil {
			return
		}
		again, err := c.Encode(msg)
		if err != nil {
			t.Fatalf("decoded %#v, which cannot be encoded: %v", msg, err)
		}
		if _, err := c.Decode(again); err != nil {
			t.Fatalf("%q is read, but not its rewriting %q: %v", data, again, err)
		}
	})
}

func BenchmarkEncodeEvent(b *testing.B) {
	event := &wamp.Event{
		Subscription: 123456, Publication: 1 << 52, Details: wamp.Dict{"topic": wamp.URI("com.example.topic")},
		Arguments: wamp.List{map[string]any{"id": int64(1), "text": strings.Repeat("x", 200), "tags": []any{"a", "b"}}},
	}
	for _, name := range codec.Names() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := codec.Named(name).Encode(event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
