package peer

import (
	"strings"
	"sync"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

func TestEventsAreShared(t *testing.T) {
	e := NewEvents()
	encode := func(name string, publication, subscription wamp.ID, details wamp.Dict) *byte {
		data, err := e.encode(codec.Named(name), &wamp.Event{Publication: publication, Subscription: subscription, Details: details})
		if err != nil {
			t.Fatal(err)
		}
		return &data[0]
	}
	first := encode("json", 1, 1, nil)
	if encode("json", 1, 1, wamp.Dict{}) != first {
		t.Error("encoded twice")
	}
	for _, other := range []*byte{
		encode("cbor", 1, 1, nil), encode("json", 2, 1, nil), encode("json", 1, 2, nil), encode("json", 1, 1, wamp.Dict{"publisher": 5}),
	} {
		if other == first {
			t.Error("shared what differs")
		}
	}
}

func TestEventsAreBounded(t *testing.T) {
	e := NewEvents()
	var encoding sync.WaitGroup
	for range 4 {
		encoding.Go(func() {
			for n := range 2000 {
				text := ""
				if n%50 == 0 {
					text = strings.Repeat("x", 1<<20)
				}
				data, err := e.encode(codec.Named("json"), &wamp.Event{Publication: wamp.ID(n + 1), Subscription: 1, Arguments: wamp.List{text}})
				if err != nil || len(data) < len(text) {
					t.Errorf("event %d: %d bytes, %v", n, len(data), err)
				}
			}
		})
	}
	encoding.Wait()
	size := 0
	for _, event := range e.order {
		size += len(event.data)
	}
	if len(e.order) > sharedEvents || len(e.recent) != len(e.order) || e.bytes != size || size > sharedBytes {
		t.Errorf("%d events, %d in the index, %d bytes, counted %d", len(e.order), len(e.recent), size, e.bytes)
	}
	huge, err := e.encode(codec.Named("json"), &wamp.Event{Publication: 9, Subscription: 1, Arguments: wamp.List{strings.Repeat("x", sharedBytes)}})
	if err != nil || len(huge) < sharedBytes || len(e.order) != 0 || e.bytes != 0 {
		t.Errorf("a huge event: %d bytes, %v; %d remembered", len(huge), err, len(e.order))
	}
}
