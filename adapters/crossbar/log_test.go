package crossbar

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestRequestLog(t *testing.T) {
	quiet := start(t, answering([]core.Receipt{{ID: "4711", EventID: "the-event"}}, nil), signing)
	quiet.post(signed(1, hello), hello).id(t, 202)
	for _, part := range []string{"level=DEBUG", "code=ok", "status=202", "publication=4711", "event=the-event", "topic=com.myapp.topic1", "key=foobar", "client=127.0.0.1"} {
		if !strings.Contains(quiet.host.logged(), part) {
			t.Errorf("the log lacks %s:\n%s", part, quiet.host.logged())
		}
	}
	loud := start(t, nil, `{"debug":true}`)
	loud.post("", hello).id(t, 202)
	if !strings.Contains(loud.host.logged(), "level=INFO msg=request") {
		t.Errorf("debug does not show requests:\n%s", loud.host.logged())
	}
	failing := start(t, answering(nil, core.RefuseRetry(core.CodeNotRunning, 0, "no router session")))
	failing.post("", hello).fault(t, 503)
	if log := failing.host.logged(); !strings.Contains(log, "level=WARN msg=request") || !strings.Contains(log, "no router session") {
		t.Errorf("a failure is no warning:\n%s", log)
	}
}

// TestHints makes the mistakes that users make.
func TestHints(t *testing.T) {
	const body = "{\"topic\": \"com.myapp.topic1\",\n \"args\": [\"a, b: \\\"c\\\"\"]}\n"
	compact := `{"topic":"com.myapp.topic1","args":["a, b: \"c\""]}`
	spaced := `{"topic": "com.myapp.topic1", "args": ["a, b: \"c\""]}`
	p := Parameters{Key: "foobar", Timestamp: vectorTime, Seq: "1", Nonce: "42"}
	mac := func(parts ...string) []byte {
		h := hmac.New(sha256.New, []byte("secret-of-the-test"))
		h.Write([]byte(strings.Join(parts, "")))
		return h.Sum(nil)
	}
	right := mac(p.Key, p.Timestamp, p.Seq, p.Nonce, body)
	encode := base64.URLEncoding.EncodeToString
	for name, test := range map[string]struct{ signature, hint string }{
		"hex":           {hex.EncodeToString(right), "received value is hex"},
		"base64 of hex": {encode([]byte(hex.EncodeToString(right))), "received value is base64 of hex"},
		"bars":          {encode(mac(p.Key, "|", p.Timestamp, "|", p.Seq, "|", p.Nonce, "|", body)), "matches with bars between the parts"},
		"compact":       {encode(mac(p.Key, p.Timestamp, p.Seq, p.Nonce, compact)), "matches with re-serialised JSON"},
		"spaced":        {encode(mac(p.Key, p.Timestamp, p.Seq, p.Nonce, spaced)), "matches with re-serialised JSON"},
		"line break":    {encode(mac(p.Key, p.Timestamp, p.Seq, p.Nonce, strings.TrimSpace(body))), "matches without the line break"},
		"alphabet":      {"9ILPwinH73pp7MUA/0VV+qbnz3mD69lCHg0hTbSGu9o=", "standard alphabet"},
		"plainly wrong": {"TJqsvg5NwPRie6CIesQCckQQzWA1tqDJk-aPaIjvCxI=", ""},
		"nothing":       {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, nil, `{"debug":true,"key":"foobar","secret":"secret-of-the-test"}`)
			query := fmt.Sprintf("key=foobar&timestamp=%s&seq=1&nonce=42&signature=%s", vectorTime, url.QueryEscape(test.signature))
			r.post(query, body).fault(t, 401)
			log := r.host.logged()
			if test.hint == "" && strings.Contains(log, "hints=") || !strings.Contains(log, test.hint) {
				t.Errorf("want the hint %q:\n%s", test.hint, log)
			}
			digest := sha256.Sum256([]byte(body))
			for _, part := range []string{
				"a signature does not match", "body_sha256=" + hex.EncodeToString(digest[:]), fmt.Sprintf("body_length=%d", len(body)),
				"key_length=6", "timestamp_length=24", "seq_length=1", "nonce_length=2", "computed=" + encode(right)[:8],
			} {
				if !strings.Contains(log, part) {
					t.Errorf("the log lacks %s:\n%s", part, log)
				}
			}
			for _, secret := range []string{"secret-of-the-test", encode(right)[:9]} {
				if strings.Contains(log, secret) {
					t.Errorf("the log shows %s:\n%s", secret, log)
				}
			}
		})
	}
}

func TestUnknownKeyLog(t *testing.T) {
	r := start(t, nil, signing, `{"debug":true}`)
	r.post("key=stranger&timestamp="+vectorTime+"&seq=1&nonce=42&signature=AAAA", hello).fault(t, 401)
	if log := r.host.logged(); !strings.Contains(log, "unknown key") || !strings.Contains(log, "key=stranger") || strings.Contains(log, "computed=") {
		t.Error(log)
	}
	silent := start(t, nil, signing)
	silent.post("key=stranger&timestamp="+vectorTime+"&seq=1&nonce=42&signature=AAAA", hello).fault(t, 401)
	if log := silent.host.logged(); strings.Contains(log, "body_sha256") {
		t.Error(log)
	}
}

// TestSecretsStaySecret looks everywhere a secret could come out.
func TestSecretsStaySecret(t *testing.T) {
	const secret, previous = "s3cr3t-one", "s3cr3t-two"
	keys := `{"debug":true,"keys":[{"key":"foobar","secret":"` + secret + `","previous_secret":"` + previous + `"}]}`
	r := start(t, answering(nil, core.RefuseRetry(core.CodeNotRunning, 0, "down")), keys)
	answers := ""
	for _, key := range []string{secret, "wrong"} {
		query, _ := Sign(key, Parameters{Key: "foobar", Timestamp: vectorTime, Seq: "1", Nonce: "1"}, []byte(hello))
		answers += r.post(query, hello).body
	}
	families, err := r.host.Gather().Gather()
	if err != nil {
		t.Fatal(err)
	}
	validation := Adapter{}.Validate(settingsOf(t, keys, `{"key":"`+secret+`","secret":"`+previous+`","realm":""}`))
	_, openError := Adapter{}.Open(t.Context(), "n", settingsOf(t, keys, `{"secret":"`+previous+`"}`), coretest.NewHost(t))
	_, decodeError := Adapter{}.Open(t.Context(), "n", settingsOf(t, keys, `{"secret":{"x":"`+previous+`"}}`), coretest.NewHost(t))
	live := r.live.Load()
	for where, text := range map[string]string{
		"log": r.host.logged(), "answers": answers, "metrics": fmt.Sprint(families), "findings": fmt.Sprint(validation.Findings),
		"errors": fmt.Sprint(openError, decodeError), "a printed configuration": fmt.Sprintf("%v %+v %#v", live.config, live.config, live.config),
	} {
		if text == "" || strings.Contains(text, "s3cr3t") {
			t.Errorf("%s: %s", where, text)
		}
	}
}
