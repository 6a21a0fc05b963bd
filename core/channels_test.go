package core

import (
	"slices"
	"testing"
	"time"
)

// TestMergeChannels wants connections added up, users counted once, and the
// cached event that lives longest.
func TestMergeChannels(t *testing.T) {
	early, late := time.Unix(1, 0).UTC(), time.Unix(2, 0).UTC()
	answers := []Answer{
		NewAnswer(Channels{Channels: map[string]Channel{
			"a": {Subscriptions: 2, Users: []string{"u1", "u2"}, Cached: &CachedEvent{Data: "old", Expires: early}},
		}}),
		{None: true},
		NewAnswer(Channels{Channels: map[string]Channel{
			"a": {Subscriptions: 1, Users: []string{"u2", "u3"}, Cached: &CachedEvent{Data: "new", Expires: late}},
			"b": {Subscriptions: 1},
		}}),
	}
	merged, err := MergeChannels(answers)
	if err != nil {
		t.Fatal(err)
	}
	a := merged.Channels["a"]
	if len(merged.Channels) != 2 || a.Subscriptions != 3 || !slices.Equal(a.Users, []string{"u1", "u2", "u3"}) || a.Cached.Data != "new" ||
		merged.Channels["b"].Subscriptions != 1 {
		t.Errorf("%+v", merged)
	}
}

// TestMergeKeepsErrors wants no answer made of a part of the sinks.
func TestMergeKeepsErrors(t *testing.T) {
	answers := []Answer{NewAnswer(Members{Known: true, Users: []string{"u"}}), {Sink: "other", Err: Refuse(CodeInternal, "broken")}}
	if merged, err := MergeMembers(answers); err == nil {
		t.Errorf("merged %+v", merged)
	}
	members, err := MergeMembers(answers[:1])
	if err != nil || !members.Known || !slices.Equal(members.Users, []string{"u"}) {
		t.Errorf("%+v, %v", members, err)
	}
	if _, err := MergeDisconnected([]Answer{{Data: []byte("{")}}); err == nil {
		t.Error("rubbish was merged")
	}
}
