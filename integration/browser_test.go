//go:build integration

package integration

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// The page of examples/, opened from its file in a real browser, shows an event.
func TestExamplePage(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no Chromium on this machine")
	}
	push, router := address(t), address(t)
	file := crossbarWAMP(push, router)
	file = replaceOnce(t, file, "paths: [/, /ws]", `paths: [/, /ws]
      allowed_origins: ["localhost:*", "127.0.0.1:*", "null"]`)
	serve(t, map[string]string{"10-page.yaml": file})
	c := node(t, "page.js", map[string]any{
		"chromium": chromium, "profile": t.TempDir(), "picture": filepath.Join(t.TempDir(), "page.png"),
		"page": "file://" + filepath.Join(root(t), "examples", "wamp.html") + "?url=ws://" + router,
	})
	c.next("subscribed")
	if status, answer := post(t, "http://"+push+"/push", `{"topic":"com.myapp.topic1","args":["Hello, world!",23]}`); status != 200 {
		t.Fatalf("%d %v", status, answer)
	}
	if shown := c.next("shown")["text"]; shown != `["Hello, world!",23]` {
		t.Errorf("the page shows %v", shown)
	}
	c.next("closed") // until then Chromium writes to its profile
}
