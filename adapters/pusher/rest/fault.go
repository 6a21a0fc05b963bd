package rest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/pushbridge/bridge/core"
)

// fault is the answer to a request that is not done. One that was handed out is
// never changed.
type fault struct {
	status int
	// reason is one word for metrics and the log.
	reason string
	text   string
	// allow is the header of that name, for a wrong method.
	allow string
	// after is what Retry-After says, rounded up to seconds; 0 means none.
	after time.Duration
	// closes ends the connection, because the body was not read to its end.
	closes bool
	// cause is the error behind the fault, for the log.
	cause error
}

// The reasons.
const (
	reasonPath        = "path"
	reasonMethod      = "method"
	reasonTooLong     = "body_too_long"
	reasonBody        = "body"
	reasonUnknownApp  = "unknown_app"
	reasonNoKey       = "no_key"
	reasonUnknownKey  = "unknown_key"
	reasonVersion     = "version"
	reasonTimestamp   = "timestamp"
	reasonMD5         = "body_md5"
	reasonSignature   = "signature"
	reasonRepeat      = "repeat"
	reasonDisabled    = "disabled"
	reasonRate        = "rate"
	reasonJSON        = "json"
	reasonField       = "field"
	reasonData        = "data_too_long"
	reasonQuery       = "query"
	reasonRefused     = "refused"
	reasonUnavailable = "unavailable"
	reasonTimeout     = "timeout"
	reasonInternal    = "internal"
)

func unauthorized(reason, format string, args ...any) *fault {
	return &fault{status: http.StatusUnauthorized, reason: reason, text: fmt.Sprintf(format, args...)}
}

// badField is a refusal of what a parameter or a member of the body says.
func badField(format string, args ...any) *fault {
	return &fault{status: http.StatusBadRequest, reason: reasonField, text: fmt.Sprintf(format, args...)}
}

func tooMany(wait time.Duration) *fault {
	return &fault{status: http.StatusTooManyRequests, reason: reasonRate, text: "Too many requests", after: wait}
}

// unavailable says that nothing was done and that it can be tried again.
func unavailable(after time.Duration, cause error) *fault {
	return &fault{status: http.StatusServiceUnavailable, reason: reasonUnavailable, text: "This cannot be done now: try again later", after: max(after, time.Second), cause: cause}
}

// notPublished is the answer to a publication that failed.
func notPublished(err error) *fault {
	refusal := core.AsRefusal(err)
	switch {
	case isOver(err), refusal.Code == core.CodeTimeout && refusal.Outcome == core.OutcomeUnknown:
		return &fault{status: http.StatusGatewayTimeout, reason: reasonTimeout, text: "No acknowledgement came in time: the event may have been published", cause: err}
	case refusal.Retryable, refusal.Code == core.CodeNotRunning, refusal.Code == core.CodeQueueFull,
		refusal.Code == core.CodeDropped, refusal.Code == core.CodeGone, refusal.Code == core.CodeTimeout:
		return unavailable(refusal.After, err)
	case refusal.Outcome == core.OutcomeUnknown, refusal.Code == core.CodeInternal, refusal.Code == core.CodeSpaceUnknown:
		return &fault{status: http.StatusInternalServerError, reason: reasonInternal, text: "The event could not be published: the log of the bridge says why", cause: err}
	case refusal.Code == core.CodeTooLarge:
		return &fault{status: http.StatusRequestEntityTooLarge, reason: reasonRefused, text: refusal.Error(), cause: err}
	}
	// What is left says something about this event that no output can take.
	return &fault{status: http.StatusBadRequest, reason: reasonRefused, text: refusal.Error(), cause: err}
}
