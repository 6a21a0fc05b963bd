package frame

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
)

func TestLane(t *testing.T) {
	encode := func(e core.Event) Frame {
		t.Helper()
		f, err := Encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	lane := func(e core.Event) string { return string(encode(e).AppendLane(nil)) }
	same := core.Event{Source: "s", Space: "p", Topic: "t", Name: "n", Data: []byte("one")}
	other := same
	other.Name, other.Data, other.Kind = "m", []byte("two"), core.KindHappening
	if lane(same) != lane(other) {
		t.Error("two events of one topic have different lanes")
	}
	seen := make(map[string]core.Event)
	for _, e := range []core.Event{
		{}, {Source: "s"}, {Space: "s"}, {Topic: "s"}, {Source: "st"}, {Source: "s", Space: "t"}, {Space: "s", Topic: "t"},
		{Source: "s", Topic: "t"}, {Source: "s\x00t"}, {Topic: "\x01t"},
	} {
		key := lane(e)
		if before, ok := seen[key]; ok {
			t.Errorf("%+v and %+v share a lane", before, e)
		}
		seen[key] = e
	}
}

// The source that counts is the one that the bus appended.
func TestLaneAfterStamp(t *testing.T) {
	f, err := Encode(&core.Event{Source: "claimed", Topic: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if !f.Arrived().IsZero() {
		t.Errorf("an event without id arrived at %v", f.Arrived())
	}
	arrived := time.UnixMilli(0x0123456789ab)
	stamper := NewStamper("real", arrived, 1, f.Len(), func() (id [idBytes]byte) {
		copy(id[:], "01234567-89ab-7000-8000-000000000000")
		return id
	})
	f, err = stamper.Stamp(f)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(f.AppendLane(nil)), "047265616c000174"; got != want {
		t.Errorf("lane %s, want %s", got, want)
	}
	if !f.Arrived().Equal(arrived) {
		t.Errorf("arrived %v, want %v", f.Arrived(), arrived)
	}
}
