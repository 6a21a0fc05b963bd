//go:build integration

package integration

import (
	"fmt"
	"testing"
)

// Crossbar's push reaches pusher-js, and Pusher's API reaches a WAMP client, over
// instances that several files share.
func TestPusherAndWAMP(t *testing.T) {
	at, push, router := address(t), address(t), address(t)
	cross := crossbarWAMP(push, router)
	cross += "  - { use: sockets, set: { space: '\"4\"', name: '\"pushed\"' } }\n"
	b := serve(t, map[string]string{
		"10-cross.yaml":  replaceOnce(t, cross, "adapter: wamp", "adapter: wamp\n    name: router"),
		"20-pusher.yaml": pusherRoute(at, "process"),
		"30-wamp.yaml":   "inbound: { use: api }\noutbound: { use: router }\n",
	})
	for _, r := range b.status(t).Routes {
		if r.State != "ready" {
			t.Fatalf("%+v", r)
		}
	}
	s := servePusher(t, at, nil)
	p := s.page(nil)
	p.subscribe("com.myapp.topic1")
	if status, answer := post(t, "http://"+push+"/push", `{"topic":"com.myapp.topic1","args":[{"n":1}]}`); status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	want(t, "the only argument", p.find("event", "channel", "com.myapp.topic1", "event", "pushed")["data"], `{"n":1}`)
	if status, answer := post(t, "http://"+push+"/push", `{"topic":"com.myapp.topic1","args":["x",1],"kwargs":{"k":"v"}}`); status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	want(t, "the collapsed data", p.find("event", "event", "pushed")["data"], `{"args":["x",1],"kwargs":{"k":"v"}}`)

	c := node(t, "wamp.js", map[string]any{"url": "ws://" + router + "/ws", "topics": []string{"chat.hello"}})
	c.next("subscribed")
	s.call("trigger", "chat", "hello", map[string]any{"to": "all"})
	if event := c.next("event"); fmt.Sprint(event["args"], event["kwargs"]) != "[map[to:all]] map[]" {
		t.Errorf("event %v", event)
	}
}
