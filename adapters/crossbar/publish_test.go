package crossbar

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

// answering publishes with a fixed result.
func answering(receipts []core.Receipt, err error) func(*coretest.Host) {
	return func(host *coretest.Host) {
		host.OnPublish = func(_ context.Context, p core.Publication) ([]core.Receipt, error) {
			if !p.NeedID || len(p.Events) != 1 {
				return nil, errors.New("want one event, and its id")
			}
			return receipts, err
		}
	}
}

func TestPublicationID(t *testing.T) {
	r := start(t, answering([]core.Receipt{
		{Sink: "webhook"}, {Sink: "refuser", ID: "3", Err: core.Refuse("x", "")}, {Sink: "other", ID: "no number"}, {Sink: "zero", ID: "0"},
		{Sink: "large", ID: "9007199254740993"}, {Sink: "wamp", ID: "5054909546939320"}, {Sink: "wamp2", ID: "7"},
	}, nil))
	got := r.post("", hello).is(t, 202)
	if got.body != `{"id":5054909546939320}` {
		t.Errorf("body %s", got.body)
	}
	own := start(t, nil)
	seen := map[uint64]bool{}
	for range 50 {
		seen[own.post("", hello).id(t, 202)] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d different ids of 50", len(seen))
	}
}

func TestPublishFailures(t *testing.T) {
	unknown := func(code string, retryable bool) *core.Refusal {
		return &core.Refusal{Code: code, Message: "m", Retryable: retryable, Outcome: core.OutcomeUnknown}
	}
	for _, test := range []struct {
		name                      string
		receipts                  []core.Receipt
		err                       error
		pusher, publisher, strict int // statuses; strict under error_status: semantic
		text                      string
		after                     string
	}{
		{"WAMP not authorized", nil, core.Refuse("wamp.error.not_authorized", ""), 400, 200, 403, "wamp.error.not_authorized", ""},
		{"WAMP invalid URI", nil, core.Refuse("wamp.error.invalid_uri", ""), 400, 200, 422, "wamp.error.invalid_uri", ""},
		{"WAMP invalid argument", nil, core.Refuse("wamp.error.invalid_argument", ""), 400, 200, 422, "wamp.error.invalid_argument", ""},
		{"WAMP option", nil, core.Refuse("wamp.error.option_disallowed.disclose_me", ""), 400, 200, 400, "wamp.error.option_disallowed.disclose_me", ""},
		{"not running", nil, core.RefuseRetry(core.CodeNotRunning, 3500*time.Millisecond, ""), 503, 503, 503, "wamp.error.runtime_error", "4"},
		{"not running, final", nil, core.Refuse(core.CodeNotRunning, ""), 503, 503, 503, "wamp.error.runtime_error", "1"},
		{"queue full", nil, core.RefuseRetry(core.CodeQueueFull, 0, ""), 503, 503, 503, "wamp.error.runtime_error", "1"},
		{"anything retryable", nil, fmt.Errorf("wrapped: %w", core.RefuseRetry("busy", time.Second, "")), 503, 503, 503, "wamp.error.runtime_error", "1"},
		{"gone", nil, unknown(core.CodeGone, true), 503, 503, 503, "wamp.error.runtime_error", "1"},
		{"no acknowledgement", nil, unknown(core.CodeTimeout, false), 504, 504, 504, "wamp.error.timeout", ""},
		{"no acknowledgement, retryable", nil, unknown(core.CodeTimeout, true), 504, 504, 504, "wamp.error.timeout", ""},
		{"deadline", nil, fmt.Errorf("publish: %w", context.DeadlineExceeded), 504, 504, 504, "wamp.error.timeout", ""},
		{"defect", nil, errors.New("boom"), 500, 500, 500, "wamp.error.runtime_error", ""},
		{"internal", nil, core.Refuse(core.CodeInternal, "x"), 500, 500, 500, "wamp.error.runtime_error", ""},
		{"no such space", nil, core.Refuse(core.CodeSpaceUnknown, "x"), 500, 500, 500, "wamp.error.runtime_error", ""},
		{"audience", nil, core.Refuse(core.CodeAudienceUnsupported, "knows no sessions"), 400, 400, 422, "audience_unsupported: knows no sessions", ""},
		{"payload", nil, core.Refuse(core.CodePayload, "number"), 400, 400, 422, "payload: number", ""},
		{"invalid event", nil, core.Refuse(core.CodeInvalidEvent, "topic"), 400, 400, 422, "invalid_event: topic", ""},
		{"a sink's own", nil, core.Refuse("invalid_channel", "blank"), 400, 400, 422, "invalid_channel: blank", ""},
		{"too large", nil, core.Refuse(core.CodeTooLarge, "17 MiB"), 413, 413, 413, "too_large: 17 MiB", ""},
	} {
		for config, status := range map[string]int{
			`{"type":"pusher"}`: test.pusher, `{"type":"publisher"}`: test.publisher, `{"type":"publisher","error_status":"semantic"}`: test.strict,
		} {
			t.Run(test.name+config, func(t *testing.T) {
				r := start(t, answering(test.receipts, test.err), config)
				got := r.post("", hello)
				f := got.fault(t, status)
				if f.Error != test.text || got.header.Get("Retry-After") != test.after {
					t.Errorf("error %q, Retry-After %q", f.Error, got.header.Get("Retry-After"))
				}
				if status >= 500 && len(f.Args) != 1 {
					t.Errorf("args %v: want one sentence", f.Args)
				}
			})
		}
	}
}

func TestWAMPErrorDetail(t *testing.T) {
	refusal := core.Refuse("wamp.error.not_authorized", "no")
	for detail, want := range map[string]string{
		`{"args":["session is not authorized", 1],"kwargs":{"a":{}}}`: `{"error":"wamp.error.not_authorized","args":["session is not authorized", 1],"kwargs":{"a":{}}}`,
		`{"args":null}`:                  `{"error":"wamp.error.not_authorized","args":[],"kwargs":{}}`,
		`{"args":{"x":1},"kwargs":[1]}`:  `{"error":"wamp.error.not_authorized","args":[],"kwargs":{}}`,
		``:                               `{"error":"wamp.error.not_authorized","args":[],"kwargs":{}}`,
		`not JSON`:                       `{"error":"wamp.error.not_authorized","args":[],"kwargs":{}}`,
		`{"args":[],"kwargs":{"b":"<"}}`: `{"error":"wamp.error.not_authorized","args":[],"kwargs":{"b":"<"}}`,
	} {
		r := start(t, answering([]core.Receipt{
			{Sink: "a", Err: core.Refuse("other", ""), Detail: json.RawMessage(`{"args":["wrong"]}`)},
			{Sink: "wamp", Err: refusal, Detail: json.RawMessage(detail)},
		}, refusal), `{"type":"publisher"}`)
		if got := r.post("", hello).is(t, 200); got.body != want {
			t.Errorf("%s: body %s", detail, got.body)
		}
	}
}

// TestPublishTimeout has a router that never acknowledges.
func TestPublishTimeout(t *testing.T) {
	r := start(t, func(host *coretest.Host) {
		host.OnPublish = func(ctx context.Context, _ core.Publication) ([]core.Receipt, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}, `{"publish_timeout":"20ms"}`)
	if f := r.post("", hello).fault(t, 504); f.Error != "wamp.error.timeout" {
		t.Errorf("%+v", f)
	}
	if r.metric("bridge_crossbar_publish_seconds") != 1 {
		t.Error("the publication was not timed")
	}
}

func TestAuthorize(t *testing.T) {
	for _, test := range []struct {
		name    string
		answers []core.Answer
		err     error
		status  int
		text    string
		after   string
	}{
		{"nobody owns the realm", nil, nil, 202, "", ""},
		{"allowed", []core.Answer{core.NewAnswer(core.Authorization{Allowed: true})}, nil, 202, "", ""},
		{"denied", []core.Answer{core.NewAnswer(core.Authorization{Error: "wamp.error.not_authorized", Args: json.RawMessage(`["no"]`)})}, nil, 400, "wamp.error.not_authorized", ""},
		{"denied without a word", []core.Answer{core.NewAnswer(core.Authorization{})}, nil, 400, "wamp.error.not_authorized", ""},
		{"two generations disagree", []core.Answer{core.NewAnswer(core.Authorization{Allowed: true}), core.NewAnswer(core.Authorization{Error: "wamp.error.x"})}, nil, 400, "wamp.error.x", ""},
		{"not running", nil, fmt.Errorf("call: %w", core.RefuseRetry(core.CodeNotRunning, 2*time.Second, "")), 503, "wamp.error.runtime_error", "2"},
		{"no router session", nil, core.Refuse("no_session", ""), 503, "wamp.error.runtime_error", "1"},
		{"too slow", nil, context.DeadlineExceeded, 503, "wamp.error.runtime_error", "1"},
		{"defect", nil, errors.New("boom"), 500, "wamp.error.runtime_error", ""},
		{"nonsense", []core.Answer{{Sink: "x", Data: json.RawMessage(`5`)}}, nil, 500, "wamp.error.runtime_error", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := start(t, func(host *coretest.Host) {
				host.OnCall = func(_ context.Context, call core.Call) ([]core.Answer, error) {
					var params core.AuthorizeParams
					if err := call.Decode(&params); err != nil || call.Op != core.OpPublishAuthorize || call.Space != "realm1" || call.Topic != "com.myapp.topic1" || params.Role != "role1" {
						t.Errorf("call %+v, %v", call, err)
					}
					return test.answers, test.err
				}
			})
			got := r.post("", hello)
			if test.status == 202 {
				got.id(t, 202)
				r.published(1)
				return
			}
			if f := got.fault(t, test.status); f.Error != test.text || got.header.Get("Retry-After") != test.after {
				t.Errorf("%+v, Retry-After %q", f, got.header.Get("Retry-After"))
			}
			r.published(0)
		})
	}
}

// TestAuthorizeIsRemembered asks once a second for each topic and role.
func TestAuthorizeIsRemembered(t *testing.T) {
	var calls, denied atomic.Int32
	r := start(t, func(host *coretest.Host) {
		host.OnCall = func(context.Context, core.Call) ([]core.Answer, error) {
			calls.Add(1)
			return []core.Answer{core.NewAnswer(core.Authorization{Allowed: denied.Load() == 0})}, nil
		}
	})
	expect := func(status int, asked int32) {
		t.Helper()
		r.post("", hello).is(t, status)
		if calls.Load() != asked {
			t.Errorf("asked %d times, want %d", calls.Load(), asked)
		}
	}
	expect(202, 1)
	expect(202, 1)
	denied.Store(1)
	r.clock.advance(999 * time.Millisecond)
	expect(202, 1)
	r.clock.advance(time.Millisecond)
	expect(400, 2)
	expect(400, 2)
	r.post("", `{"topic":"other"}`).is(t, 400)
	if calls.Load() != 3 {
		t.Errorf("another topic: asked %d times", calls.Load())
	}
	if err := r.Reconfigure(t.Context(), settingsOf(t, `{"role":"role2"}`)); err != nil {
		t.Fatal(err)
	}
	expect(400, 4)
}

// TestAuthorizeFailureIsNotRemembered retries at once when nobody could say.
func TestAuthorizeFailureIsNotRemembered(t *testing.T) {
	var calls atomic.Int32
	r := start(t, func(host *coretest.Host) {
		host.OnCall = func(context.Context, core.Call) ([]core.Answer, error) {
			if calls.Add(1) == 1 {
				return nil, core.RefuseRetry(core.CodeNotRunning, time.Second, "")
			}
			return nil, nil
		}
	})
	r.post("", hello).fault(t, 503)
	r.post("", hello).id(t, 202)
}

// TestAuthorizeIsShared lets many requests wait for one question.
func TestAuthorizeIsShared(t *testing.T) {
	var calls atomic.Int32
	asked, reply := make(chan struct{}), make(chan struct{})
	r := start(t, func(host *coretest.Host) {
		host.OnCall = func(context.Context, core.Call) ([]core.Answer, error) {
			if calls.Add(1) == 1 {
				close(asked)
			}
			<-reply
			return nil, nil
		}
	})
	const requests = 20
	statuses := make(chan int, requests)
	for range requests {
		go func() {
			got, err := trySend(r.client, request{url: r.url(""), body: []byte(hello)})
			if err != nil {
				t.Error(err)
			}
			statuses <- got.status
		}()
	}
	<-asked
	close(reply)
	for range requests {
		if status := <-statuses; status != 202 {
			t.Errorf("status %d", status)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("asked %d times", calls.Load())
	}
}

func TestPermissionsAreBounded(t *testing.T) {
	p := newPermissions(coretest.NewHost(t))
	now := time.Unix(0, 0)
	for i := range maxPermissions + 100 {
		if _, err := p.ask(t.Context(), permissionID{"r", strconv.Itoa(i), "a"}, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.known.entries); n != maxPermissions || p.known.order.Len() != n {
		t.Errorf("%d are remembered", n)
	}
}

// TestTimes wants the client's time where an event can carry it.
func TestTimes(t *testing.T) {
	for given, want := range map[string]string{
		"2015-03-24T15:38:12.589001Z": "2015-03-24T15:38:12.589001Z",
		"1970-01-01T00:00:00Z":        "1970-01-01T00:00:00Z",
		"9999-12-31T23:59:59Z":        "", "0001-01-01T00:00:00Z": "", "": "",
	} {
		r := start(t, nil, `{"timestamp_delta_limit":0}`)
		query := ""
		if given != "" {
			query = "timestamp=" + given
		}
		r.post(query, hello).id(t, 202)
		got := r.published(1).Time
		if expected, _ := time.Parse(time.RFC3339Nano, want); !got.Equal(expected) {
			t.Errorf("%s: time %s", given, got)
		}
	}
}
