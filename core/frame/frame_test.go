package frame_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
)

// full has every field set.
func full() core.Event {
	return core.Event{
		ID: "0190f1f2-0000-7000-8000-000000000000", Source: "chat.pusher-rest", Kind: core.KindHappening,
		Space: "app", Topic: "orders-1", Direct: true, Name: "paid",
		Time: time.Unix(1_700_000_000, 123_456_789).UTC(), Type: core.TypeJSON, Data: []byte(`{"a":1}`),
		Only:   core.Audience{"user": {"1", "2"}, "session": {}},
		Except: core.Audience{"socket": {"1.1"}},
		Meta:   map[string]string{"wamp.retain": "true", "empty": ""},
		Hops:   3,
	}
}

// toProto is the event as generated code holds it.
func toProto(e core.Event) *bridgev1.Event {
	audience := func(a core.Audience) *bridgev1.Audience {
		if a == nil {
			return nil
		}
		kinds := make(map[string]*bridgev1.Entries)
		for kind, entries := range a {
			kinds[kind] = &bridgev1.Entries{Entries: entries}
		}
		return &bridgev1.Audience{Kinds: kinds}
	}
	var nanos int64
	if !e.Time.IsZero() {
		nanos = e.Time.UnixNano()
	}
	return &bridgev1.Event{
		Id: e.ID, Source: e.Source, Kind: bridgev1.Kind(e.Kind), Space: e.Space, Topic: e.Topic,
		Direct: e.Direct, Name: e.Name, Time: nanos, Type: e.Type, Data: e.Data,
		Only: audience(e.Only), Except: audience(e.Except), Meta: e.Meta, Hops: uint32(e.Hops),
	}
}

// The hand-written encoding is the generated code's, in both directions.
func TestSameEncodingAsGeneratedCode(t *testing.T) {
	for name, event := range map[string]core.Event{"empty": {}, "full": full()} {
		t.Run(name, func(t *testing.T) {
			var generated bridgev1.Event
			ours := frame.Append(nil, &event)
			if err := proto.Unmarshal(ours, &generated); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(&generated, toProto(event)) {
				t.Errorf("generated code reads\n%v\nwant\n%v", &generated, toProto(event))
			}
			if size := frame.Size(&event); size < len(ours) {
				t.Errorf("Size is %d, the encoding has %d bytes", size, len(ours))
			}
			theirs, err := proto.Marshal(toProto(event))
			if err != nil {
				t.Fatal(err)
			}
			f, err := frame.Parse(theirs)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(event, f.Decode()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStamp(t *testing.T) {
	now := time.Unix(1_800_000_000, 5).UTC()
	event := full()
	var id [36]byte
	copy(id[:], "0190f1f2-1111-7000-8000-000000000000")
	for _, test := range []struct {
		name string
		time time.Time
	}{{"time given", event.Time}, {"time missing", time.Time{}}} {
		t.Run(test.name, func(t *testing.T) {
			e := event
			e.Time = test.time
			f, err := frame.Encode(&e)
			if err != nil {
				t.Fatal(err)
			}
			stamper := frame.NewStamper("stamped.source", now, 1, f.Len(), func() [36]byte { return id })
			stamped, err := stamper.Stamp(f)
			if err != nil {
				t.Fatal(err)
			}
			want := e
			want.ID, want.Source, want.Hops = string(id[:]), "stamped.source", e.Hops+1
			if want.Time.IsZero() {
				want.Time = now
			}
			if diff := cmp.Diff(want, stamped.Decode()); diff != "" {
				t.Error(diff)
			}
			again, err := frame.Parse(stamped.Bytes())
			if err != nil || again.Kind() != e.Kind || again.ID() != want.ID || stamped.ID() != want.ID {
				t.Errorf("a stamped frame does not parse: %v", err)
			}
		})
	}
	event.Hops = core.MaxHops
	f, err := frame.Encode(&event)
	if err != nil {
		t.Fatal(err)
	}
	stamper := frame.NewStamper("s", now, 1, f.Len(), func() [36]byte { return id })
	if _, err := stamper.Stamp(f); core.AsRefusal(err).Code != core.CodeTooManyHops {
		t.Errorf("error %v, want %s", err, core.CodeTooManyHops)
	}
}

func TestParseRefuses(t *testing.T) {
	str := func(number protowire.Number, value string) []byte {
		return protowire.AppendString(protowire.AppendTag(nil, number, protowire.BytesType), value)
	}
	num := func(number protowire.Number, value uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(nil, number, protowire.VarintType), value)
	}
	many := core.Event{Meta: map[string]string{}}
	for i := range core.MaxMetaEntries + 1 {
		many.Meta[strings.Repeat("m", i+1)] = "v"
	}
	for _, test := range []struct {
		name  string
		bytes []byte
		code  string
		says  string
	}{
		{"truncated tag", []byte{0x80}, core.CodeInvalidEvent, "malformed"},
		{"truncated length", []byte{0x0a, 0x05, 'a'}, core.CodeInvalidEvent, "id"},
		{"group", []byte{0x0b}, core.CodeInvalidEvent, "wire type"},
		{"topic as number", num(5, 1), core.CodeInvalidEvent, "topic"},
		{"kind as text", str(3, "x"), core.CodeInvalidEvent, "kind"},
		{"unknown kind", num(3, 9), core.CodeInvalidEvent, "kind"},
		{"direct beyond true", num(6, 2), core.CodeInvalidEvent, "direct"},
		{"topic not UTF-8", str(5, "\xff"), core.CodeInvalidEvent, "topic is not UTF-8"},
		{"meta not UTF-8", str(13, "\x0a\x01\xff"), core.CodeInvalidEvent, "meta"},
		{"audience of numbers", str(11, "\x08\x01"), core.CodeInvalidEvent, "only"},
		{"audience entry not UTF-8", str(12, "\x0a\x08\x0a\x01k\x12\x03\x0a\x01\xff"), core.CodeInvalidEvent, "except"},
		{"long topic", str(5, strings.Repeat("t", core.MaxTopicBytes+1)), core.CodeInvalidEvent, "topic"},
		{"long space", str(4, strings.Repeat("t", core.MaxSpaceBytes+1)), core.CodeInvalidEvent, "space"},
		{"many meta", frame.Append(nil, &many), core.CodeInvalidEvent, "meta"},
		{"large", str(10, strings.Repeat("d", core.MaxEventBytes)), core.CodeTooLarge, "limit"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := frame.Parse(test.bytes)
			refusal := core.AsRefusal(err)
			if refusal == nil || refusal.Code != test.code || !strings.Contains(refusal.Message, test.says) {
				t.Errorf("error %v, want %s saying %q", err, test.code, test.says)
			}
		})
	}
}

// Fields of later minor versions pass.
func TestParseKeepsUnknownFields(t *testing.T) {
	encoded := protowire.AppendString(protowire.AppendTag(nil, 99, protowire.BytesType), "later")
	f, err := frame.Parse(encoded)
	if err != nil || !bytes.Equal(f.Bytes(), encoded) {
		t.Errorf("%v, %x", err, f.Bytes())
	}
}

// Whatever passes Parse, generated code reads the same way; and nothing panics.
func FuzzParse(f *testing.F) {
	event := full()
	f.Add(frame.Append(nil, &event))
	f.Add([]byte{0x0a, 0x05, 'a'})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		_ = frame.Decode(encoded, string(encoded)) // must not panic on anything
		parsed, err := frame.Parse(encoded)
		if err != nil {
			return
		}
		var generated bridgev1.Event
		if err := proto.Unmarshal(encoded, &generated); err != nil {
			t.Fatalf("accepted what generated code refuses: %v", err)
		}
		decoded := parsed.Decode()
		want := toProto(decoded)
		generated.ProtoReflect().SetUnknown(nil)
		if generated.Topic != want.Topic || generated.Id != want.Id || generated.Hops&0xff != want.Hops&0xff ||
			!bytes.Equal(generated.Data, want.Data) || len(generated.Meta) != len(want.Meta) ||
			len(generated.GetOnly().GetKinds()) != len(want.GetOnly().GetKinds()) {
			t.Fatalf("decoded %+v, generated code reads %v", decoded, &generated)
		}
	})
}

func BenchmarkParseAndStamp(b *testing.B) {
	event := core.Event{Topic: "com.myapp.topic1", Space: "realm1", Type: core.TypeWAMP, Data: bytes.Repeat([]byte("x"), 256)}
	encoded := frame.Append(nil, &event)
	now := time.Now()
	var id [36]byte
	nextID := func() [36]byte { return id }
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		f, err := frame.Parse(encoded)
		if err != nil {
			b.Fatal(err)
		}
		stamper := frame.NewStamper("route.crossbar-pusher", now, 1, f.Len(), nextID)
		if _, err := stamper.Stamp(f); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	event := core.Event{Topic: "com.myapp.topic1", Space: "realm1", Type: core.TypeWAMP, Data: bytes.Repeat([]byte("x"), 256)}
	encoded := frame.Append(nil, &event)
	text := string(encoded)
	b.ReportAllocs()
	for b.Loop() {
		_ = frame.Decode(encoded, text)
	}
}
