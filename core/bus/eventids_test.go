package bus_test

import (
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	"github.com/pushbridge/bridge/core/frame"
)

// publishIDs publishes two events and wants the ids of both, and nothing else.
func publishIDs(t *testing.T, w *world, ack core.Ack) []string {
	t.Helper()
	var frames []frame.Frame
	for _, topic := range []string{"a", "b"} {
		f, err := frame.Encode(&core.Event{Topic: topic})
		if err != nil {
			t.Fatal(err)
		}
		frames = append(frames, f)
	}
	w.source.Publish([]bus.Publication{{Frames: frames, Ack: ack, EventIDs: true}}, time.Now(), 1, w)
	result := w.result()
	if result.Err != nil {
		t.Errorf("ack %s: %v", ack, result.Err)
	}
	ids := make([]string, 2)
	for _, r := range result.Receipts {
		if r.Sink == "" {
			ids[r.Event] = r.EventID
		}
	}
	if ids[0] == "" || ids[0] >= ids[1] {
		t.Errorf("ack %s: receipts %+v", ack, result.Receipts)
	}
	return ids
}

// TestEventIDs wants the ids that the sink sees, whatever is waited for, and ids
// too where nobody gets the events.
func TestEventIDs(t *testing.T) {
	for _, ack := range []core.Ack{core.AckSent, core.AckQueued, core.AckAll} {
		w := newWorld(t)
		sink := newSink()
		sink.reply = &accepted
		w.edge("a", sink, core.Info{}, bus.EdgeOptions{})
		w.table(core.AckQueued)
		ids := publishIDs(t, w, ack)
		for _, want := range ids {
			if d := sink.next(t); d.Frame.ID() != want {
				t.Errorf("ack %s: the sink got %s, want %s", ack, d.Frame.ID(), want)
			}
		}
	}
	publishIDs(t, newWorld(t), core.AckQueued)
}
