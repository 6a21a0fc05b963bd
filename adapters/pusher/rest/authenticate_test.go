package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const hello = `{"name":"e","channel":"a","data":"x"}`

func TestSeveralKeys(t *testing.T) {
	r := start(t, nil, []byte(`{"listen":"127.0.0.1:0","apps":[
		{"id":"3","keys":[{"key":"a","secret":"1"},{"key":"b","secret":"2"},{"key":"c","secret":"3","enabled":false}]},
		{"id":"off","key":"o","secret":"4","enabled":false}]}`))
	send := func(app, key, secret string) answer {
		return r.send(request{method: "POST", path: "/apps/" + app + "/events", key: key, secret: secret, body: hello})
	}
	send("3", "a", "1").is(200)
	send("3", "b", "2").is(200)
	send("3", "a", "2").is(401).contains("Invalid signature")
	send("3", "c", "3").is(401).contains("Unknown auth_key")
	send("3", "o", "4").is(401).contains("Unknown auth_key")
	send("off", "o", "4").is(403).says("App disabled\n")
	send("off", "o", "5").is(401).contains("Invalid signature")
}

func TestPaths(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	for _, path := range []string{
		"/", "/apps", "/users", "/apps/", "/apps/3", "/apps/3/", "/apps/3/other", "/apps/3/events/", "/apps/3/events/x", "//apps/3/events", "/apps//3/events", "/apps/3//events",
		"/apps//events", "/apps/3/channels/", "/apps/3/channels/a/", "/apps/3/channels/a/other", "/apps/3/channels/a/users/x", "/apps/3/users", "/apps/3/users/u", "/apps/3/users/u/other",
		"/users/u", "/users/u/other", "/users/u/terminate_connections/x", "/app/key", "/users/channels/a/users",
	} {
		a := r.send(request{method: "GET", path: path, target: path})
		if a.is(404); a.header.Get("Location") != "" {
			t.Errorf("%s is redirected", path)
		}
	}
	for path, allow := range map[string]string{
		"/apps/3/events": "POST", "/apps/3/batch_events": "POST", "/apps/3/channels": "GET", "/apps/3/channels/a": "GET", "/apps/3/channels/a/users": "GET",
		"/apps/3/channels/a/stats": "GET", "/apps/3/channels/a/events": "POST", "/apps/3/users/u/terminate_connections": "POST", "/users/u/terminate_connections": "POST",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"} {
			if method == allow {
				continue
			}
			a := r.send(request{method: method, path: path})
			if a.status != 405 || a.header.Get("Allow") != allow {
				t.Errorf("%s %s: %d, Allow %q", method, path, a.status, a.header.Get("Allow"))
			}
		}
	}
}

// TestEscapedPaths signs the decoded path, as one library does, and the path as it
// is sent, as others may.
func TestEscapedPaths(t *testing.T) {
	l := someListeners()
	r := start(t, l.prepare, settingsOf(t, ""))
	sign := func(path string) string {
		_, query, _ := strings.Cut(request{method: "POST", path: path, body: "{}"}.sign(r.clock.now()), "?")
		return query
	}
	send := func(escaped, signed string) answer {
		return r.send(request{method: "POST", target: escaped + "?" + sign(signed), body: "{}"})
	}
	const escaped = "/apps/3/users/a%20b%2Fc/terminate_connections"
	send(escaped, "/apps/3/users/a b/c/terminate_connections").is(200)
	send(escaped, escaped).is(200)
	send(escaped, "/apps/3/users/other/terminate_connections").is(401)
	if l.disconnected[0] != "a b/c" {
		t.Errorf("%q", l.disconnected)
	}
}

func TestPathPrefix(t *testing.T) {
	r := start(t, nil, settingsOf(t, "", `{"path_prefix":"/push/er"}`))
	target := request{method: "POST", path: "/apps/3/events", body: hello}.sign(r.clock.now())
	r.send(request{method: "POST", target: "/push/er" + target, body: hello}).is(200)
	r.send(request{method: "POST", target: target, body: hello}).is(404)
	r.send(request{method: "POST", path: "/push/er/apps/3/events", body: hello}).is(401)
	r.published(1)
}

func TestTimestampWindow(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"timestamp_window":"10s"}`))
	send := func(r *running, ago time.Duration) answer {
		return r.send(request{method: "POST", path: "/apps/3/events", body: hello, ago: ago})
	}
	r.clock.advance(900 * time.Millisecond)
	for _, ago := range []time.Duration{9 * time.Second, -9 * time.Second, 0} {
		send(r, ago).is(200)
	}
	for _, ago := range []time.Duration{11 * time.Second, -11 * time.Second, 50 * 365 * 24 * time.Hour, -290 * 365 * 24 * time.Hour} {
		send(r, ago).is(401).contains("not within 10s of server time (2023-11-14T22:13:20Z)")
	}
	endless := start(t, nil, settingsOf(t, `{"timestamp_window":"0"}`))
	send(endless, 100000*time.Hour).is(200)
	if log := endless.host.logged(); !strings.Contains(log, "level=WARN msg=\"timestamps are not checked") {
		t.Errorf("log: %s", log)
	}
	for text, ok := range map[string]bool{"1700000000": true, "": false, "x": false, "17e8": false, "-5": false, "99999999999999999999": false, "9223372036854775807": false, " 1700000000": false} {
		if got := parseTimestamp(text).Unix() != 0; got != ok {
			t.Errorf("%q is a timestamp: %v", text, got)
		}
	}
}

func TestRefuseRepeats(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"refuse_repeats":true}`))
	q := request{method: "POST", path: "/apps/3/events", body: hello}
	q.target = q.sign(r.clock.now())
	r.send(q).is(200)
	r.send(q).is(401).contains("sent before")
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"refuse_repeats":true,"strict_query":true}`)); err != nil {
		t.Fatal(err)
	}
	r.send(q).is(401)
	r.open(settingsOf(t, `{"refuse_repeats":true}`))
	r.send(q).is(401)
	r.clock.advance(time.Second)
	r.event(hello).is(200)
	r.published(2)

	off := start(t, nil, settingsOf(t, ""))
	off.send(q).is(200)
	off.send(q).is(200)
}

func TestErrorsAsJSON(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	r.send(request{method: "POST", path: "/apps/3/events", body: `{"name":"\""}`, header: http.Header{"Accept": {"text/html, application/json;q=0.9"}}}).is(400).
		says(`{"code":400,"error":"channel is missing: give channel or channels"}`)
	a := r.send(request{method: "POST", path: "/apps/9/events", body: hello}).is(404).says("Unknown app_id \"9\"\n")
	if a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Error(a.header)
	}
}

// TestSignatureText shows what to sign and never what it should be.
func TestSignatureText(t *testing.T) {
	r := start(t, nil, settingsOf(t, ""))
	right := request{method: "GET", path: "/apps/3/channels"}
	_, want, _ := strings.Cut(right.sign(r.clock.now()), "auth_signature=")
	a := r.send(request{method: "GET", target: strings.TrimSuffix(right.sign(r.clock.now()), want) + "0bad"}).is(401)
	a.says(`Invalid signature: you should have sent HmacSHA256Hex("GET\n/apps/3/channels\nauth_key=` + testKey + `&auth_timestamp=1700000000&auth_version=1.0", your_secret_key), but you sent "0bad"` + "\n")
	if strings.Contains(a.body+r.host.logged(), want) || strings.Contains(a.body+r.host.logged(), testSecret) {
		t.Error("the signature or the secret is shown")
	}
}

func TestRates(t *testing.T) {
	r := start(t, nil, settingsOf(t, `{"limits":{"publish_per_second":10,"read_per_second":1,"channels_per_event":100,"events_per_batch":100}}`))
	limited := func(a answer) {
		t.Helper()
		if a.is(429).says("Too many requests\n"); a.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
		}
	}
	r.event(`{"name":"e","channels":["1","2","3","4","5","6"],"data":"x"}`).is(200)
	r.post("/apps/3/batch_events", `{"batch":[`+hello+`,`+hello+`,`+hello+`]}`).is(200)
	r.event(hello).is(200)
	limited(r.event(hello))
	r.published(10)
	r.get("/apps/3/channels", "").is(200)
	limited(r.get("/apps/3/channels", ""))
	r.send(request{method: "POST", path: "/apps/4/events", key: "other-key", body: hello}).is(200)

	r.clock.advance(500 * time.Millisecond)
	limited(r.event(`{"name":"e","channels":["1","2","3","4","5","6"],"data":"x"}`)) // takes one of five
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"strict_query":true,"limits":{"publish_per_second":10,"read_per_second":5,"channels_per_event":100}}`)); err != nil {
		t.Fatal(err)
	}
	r.event(`{"name":"e","channels":["1","2","3","4"],"data":"x"}`).is(200)
	limited(r.event(hello))
	r.get("/apps/3/channels", "").is(200)

	r.clock.advance(time.Second)
	many := make([]string, 20)
	for i := range many {
		many[i] = `"c` + strings.Repeat("x", i) + `"`
	}
	r.event(`{"name":"e","channels":[` + strings.Join(many, ",") + `],"data":"x"}`).is(200) // more than ever fit takes all
	limited(r.event(hello))
	if n := r.metric("bridge_pusher_rest_refused_total", "app", "3", "reason", "rate"); n != 5 {
		t.Errorf("%v refusals", n)
	}
}
