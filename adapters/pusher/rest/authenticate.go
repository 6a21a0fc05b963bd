package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/core"
)

// admit finds out for which app the request is and whether somebody with its
// secret sent it, then whether the app may have it. It looks at the head of the
// request alone.
func (x *exchange) admit(ctx context.Context) *fault {
	x.query = signature.ParseQuery(x.request.URL.RawQuery)
	pair, wrong := x.findKey()
	if wrong != nil {
		return wrong
	}
	given, wrong := x.checkParameters()
	if wrong != nil {
		return wrong
	}
	if wrong := x.checkSignature(pair); wrong != nil {
		return wrong
	}
	if x.app.RefuseRepeats {
		return x.refuseRepeat(ctx, given)
	}
	return nil
}

// findKey finds the app of the path and the key of the request.
func (x *exchange) findKey() (app.Pair, *fault) {
	if x.route.app != "" {
		var known bool
		if x.app, known = x.live.apps.ByID(x.route.app); !known {
			return app.Pair{}, &fault{status: http.StatusNotFound, reason: reasonUnknownApp, text: "Unknown app_id " + strconv.Quote(clip(x.route.app))}
		}
	}
	key := x.query.Get(signature.ParameterKey)
	if key == "" {
		return app.Pair{}, unauthorized(reasonNoKey, "Missing parameter: auth_key")
	}
	owner, pair, known := x.live.apps.ByKey(key)
	if !known || x.app != nil && owner != x.app {
		return app.Pair{}, unauthorized(reasonUnknownKey, "Unknown auth_key")
	}
	x.app = owner
	return pair, nil
}

// checkParameters looks at version and timestamp and returns the timestamp.
func (x *exchange) checkParameters() (time.Time, *fault) {
	switch version, given := x.query.Find(signature.ParameterVersion); {
	case !given:
		return time.Time{}, unauthorized(reasonVersion, "Version required")
	case version != "1.0":
		return time.Time{}, unauthorized(reasonVersion, "Version not supported")
	}
	text, given := x.query.Find(signature.ParameterTimestamp)
	if !given {
		return time.Time{}, unauthorized(reasonTimestamp, "Timestamp required")
	}
	timestamp := parseTimestamp(text)
	window := x.app.TimestampWindow.Std()
	if window == 0 {
		return timestamp, nil
	}
	// Whole seconds are compared, as they are what requests give.
	now := time.Unix(x.now().Unix(), 0)
	if now.Sub(timestamp).Abs() >= window {
		return timestamp, unauthorized(reasonTimestamp, "Timestamp expired: Given timestamp (%s) not within %gs of server time (%s)",
			timestamp.UTC().Format(time.RFC3339), window.Seconds(), now.UTC().Format(time.RFC3339))
	}
	return timestamp, nil
}

// parseTimestamp reads seconds since 1970. What is no number, or beyond the years
// that a Duration spans, is 0.
func parseTimestamp(text string) time.Time {
	const latest = 1 << 33 // the year 2242
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > latest {
		seconds = 0
	}
	return time.Unix(seconds, 0)
}

// checkSignature verifies the signature over the decoded path, or over the path as
// it came: some clients sign the one, some the other.
func (x *exchange) checkSignature(pair app.Pair) *fault {
	claimed := x.query.Get(signature.ParameterSignature)
	for _, path := range []string{x.route.path, x.route.escaped} {
		x.buffers.signed = x.query.AppendStringToSign(x.buffers.signed[:0], x.request.Method, path)
		if pair.Secret.Verify(claimed, x.buffers.signed) {
			return nil
		}
		if x.route.path == x.route.escaped {
			break
		}
	}
	toSign := x.query.AppendStringToSign(x.buffers.signed[:0], x.request.Method, x.route.path)
	return unauthorized(reasonSignature, "Invalid signature: you should have sent HmacSHA256Hex(%q, your_secret_key), but you sent %q", toSign, clip(claimed))
}

// endlessWindow is how long a signature is remembered where timestamps are not
// checked.
const endlessWindow = 24 * time.Hour

// refuseRepeat lets each signature through once. It asks the instance's State, so
// that all generations of the instance count together.
func (x *exchange) refuseRepeat(ctx context.Context, given time.Time) *fault {
	keep := endlessWindow
	if window := x.app.TimestampWindow.Std(); window > 0 {
		// As long as the timestamp could pass the check.
		keep = given.Add(window).Sub(x.now()) + time.Second
	}
	_, err := x.host.State().Bucket("signatures").Replace(ctx, x.query.Get(signature.ParameterSignature), nil, keep, 0)
	switch {
	case errors.Is(err, core.ErrRevision):
		return unauthorized(reasonRepeat, "This request was sent before")
	case err != nil:
		return unavailable(0, fmt.Errorf("remember the signature: %w", err))
	}
	return nil
}

// checkAllowed looks whether the app may have anything now, and takes one of what
// it may have this second.
func (x *exchange) checkAllowed() *fault {
	if !x.app.Enabled {
		return &fault{status: http.StatusForbidden, reason: reasonDisabled, text: "App disabled"}
	}
	return x.spend(1, 0)
}

// spend counts n events or questions against the app's rate; kept of them were
// counted before.
func (x *exchange) spend(n, kept int) *fault {
	b := x.live.budgets[x.app]
	limiter := b.read
	if x.route.operation.publishes() {
		limiter = b.publish
	}
	if wait := take(limiter, n, kept, x.now()); wait > 0 {
		return tooMany(wait)
	}
	return nil
}

// checkQuery refuses, where the app wants it, parameters that mean nothing to the
// operation.
func (x *exchange) checkQuery() *fault {
	if !x.app.StrictQuery {
		return nil
	}
	var extraneous []string
	for _, p := range x.query {
		if !x.route.operation.reads(p.Name) {
			extraneous = append(extraneous, clip(p.Name))
		}
	}
	if extraneous == nil {
		return nil
	}
	return &fault{status: http.StatusBadRequest, reason: reasonQuery,
		text: "The following query string parameters are extraneous: " + clip(strings.Join(extraneous, ", "))}
}

// reads reports whether a query parameter means something to the operation.
func (o operation) reads(name string) bool {
	switch name {
	case signature.ParameterKey, signature.ParameterTimestamp, signature.ParameterVersion, signature.ParameterSignature, signature.ParameterBodyMD5:
		return true
	case "info":
		return o == opGetChannels || o == opGetChannel || o == opGetStats || o == opPostEvent
	case "filter_by_prefix":
		return o == opGetChannels
	case "name", "socket_id":
		return o == opPostEvent || o == opPostToChannel
	case "data", "channel", "channels", "channels[]", "idempotency_key":
		return o == opPostEvent
	}
	return false
}
