package webhook

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	pusher "github.com/pusher/pusher-http-go/v5"

	"github.com/pushbridge/bridge/core"
)

// Pusher's server library for Go accepts what is sent, with the keys of several
// apps.
func TestPusherLibraryAccepts(t *testing.T) {
	receiver := newReceiver(t)
	r := start(t, receiver.URL, `{"key":null,"secret":null,"apps":[
		{"id":"one","key":"k1","secret":"s1","client_events":true},
		{"id":2,"keys":[{"key":"old","secret":"x","enabled":false},{"key":"k2","secret":"s2"},{"key":"k3","secret":"s3"}]}]}`)
	one := &pusher.Client{AppID: "one", Key: "k1", Secret: "s1"}
	two := &pusher.Client{AppID: "2", Key: "k2", Secret: "s2"}
	for _, test := range []struct {
		space        string
		mine, theirs *pusher.Client
		event        core.Event
		want         pusher.WebhookEvent
	}{
		{"one", one, two, occupied("presence-ü"), pusher.WebhookEvent{Name: "channel_occupied", Channel: "presence-ü"}},
		{"2", two, one, core.Event{Kind: core.KindHappening, Topic: "presence-c", Name: "member_added", Data: []byte(`{"user_id":"u1"}`)},
			pusher.WebhookEvent{Name: "member_added", Channel: "presence-c", UserID: "u1"}},
		{"one", one, two, core.Event{
			Kind: core.KindClient, Topic: "presence-c", Name: "client-typing", Type: core.TypeJSON, Data: []byte(`{"on":"<b>"}`),
			Meta: map[string]string{metaSocket: "1.2", metaUser: "u1"}, Except: core.Audience{core.AudienceSocket: {"1.2"}},
		}, pusher.WebhookEvent{Name: "client_event", Channel: "presence-c", Event: "client-typing", Data: `{"on":"<b>"}`, SocketID: "1.2", UserID: "u1"}},
	} {
		test.event.Space = test.space
		if receipt := r.one(test.event); receipt.Err != nil {
			t.Fatalf("receipt %+v", receipt)
		}
		got := receiver.next(t)
		hook, err := test.mine.Webhook(got.header, got.body)
		if err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		if diff := cmp.Diff([]pusher.WebhookEvent{test.want}, hook.Events); diff != "" || hook.TimeMs != eventTime {
			t.Errorf("time %d, %s", hook.TimeMs, diff)
		}
		if _, err := test.theirs.Webhook(got.header, got.body); err == nil {
			t.Error("the other app accepts it too")
		}
	}
	if receipt := r.one(core.Event{Kind: core.KindHappening, Topic: "c", Name: "cache_miss", Space: "three"}); receipt.Err == nil ||
		receipt.Err.Code != core.CodeSpaceUnknown || receipt.Err.Retryable {
		t.Errorf("receipt %+v", receipt)
	}
	receiver.none(t)
}
