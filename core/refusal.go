package core

import (
	"errors"
	"fmt"
	"time"
)

// Refusal says that something was not done, in words for programs (Code) and
// for people (Message). It is an error; find it with [errors.As] or [AsRefusal].
type Refusal struct {
	// Code is stable: one of the Code constants, or a protocol's own (a WAMP
	// error URI).
	Code string
	// Message says what happened and what to do next.
	Message string
	// Retryable says that the same event may be accepted later.
	Retryable bool
	// After is how long to wait before trying again; zero means the caller's
	// own back-off.
	After time.Duration
	// Outcome tells whether the event may have been delivered all the same.
	Outcome Outcome
}

// Outcome is what is known of a refused event.
type Outcome uint8

// The outcomes.
const (
	OutcomeNotDone Outcome = iota // it certainly reached no listener
	OutcomeUnknown                // it may have been delivered
)

// String returns "not_done" or "unknown".
func (o Outcome) String() string {
	if o == OutcomeNotDone {
		return "not_done"
	}
	return "unknown"
}

// Codes of refusals by the bus and by more than one adapter.
const (
	CodeInvalidEvent        = "invalid_event"        // malformed, or beyond a limit; the message names the field
	CodeTooLarge            = "too_large"            // event, publication or message over its limit
	CodeTooManyHops         = "too_many_hops"        // published by more than MaxHops bridges: the routes form a loop
	CodeQueueFull           = "queue_full"           // the edge's queue is full; retry
	CodeDropped             = "dropped"              // pushed out of an edge's queue by newer events
	CodeNotRunning          = "not_running"          // no such instance now, or it is stopped
	CodeGone                = "gone"                 // the sink's process ended with the event in flight
	CodeTimeout             = "timeout"              // no answer in time
	CodeAudienceUnsupported = "audience_unsupported" // the sink cannot evaluate a kind of Only
	CodeSpaceUnknown        = "space_unknown"        // the sink serves several spaces, none of them the event's
	CodeNoTopic             = "no_topic"             // the sink cannot deliver an event without a topic
	CodeMapping             = "mapping"              // an expression of the edge failed on this event
	CodePayload             = "payload"              // the data cannot be expressed in the sink's protocol
	CodeInternal            = "internal"             // a defect; the log has more
)

// Error returns "code: message".
func (r *Refusal) Error() string {
	if r.Message == "" {
		return r.Code
	}
	return r.Code + ": " + r.Message
}

// Refuse returns a final refusal with outcome not_done.
func Refuse(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...)}
}

// RefuseRetry returns a retryable refusal with outcome not_done.
func RefuseRetry(code string, after time.Duration, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Message: fmt.Sprintf(format, args...), Retryable: true, After: after}
}

// AsRefusal finds the Refusal in err. An error that has none becomes
// [CodeInternal] with an unknown outcome; nil stays nil.
func AsRefusal(err error) *Refusal {
	if err == nil {
		return nil
	}
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return refusal
	}
	return &Refusal{Code: CodeInternal, Message: err.Error(), Outcome: OutcomeUnknown}
}
