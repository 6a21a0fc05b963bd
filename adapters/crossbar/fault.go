package crossbar

import (
	"encoding/json"
	"net/http"
	"time"
)

// The codes of refusals in log lines and metrics. Those with letters and digits
// are Crossbar's own.
const (
	codeOK          = "ok"
	codeMalformed   = "AR400"
	codeMethod      = "AR405"
	codeTooLong     = "AR413"
	codeCharset     = "AR450"
	codeNotUTF8     = "AR451"
	codeMediaType   = "AR452"
	codeNotJSON     = "AR453"
	codeNotObject   = "AR454"
	codeNoTopic     = "AR455"
	codeSignature   = "AR459"
	codeUnknownKey  = "AR460"
	codeMissing     = "AR461"
	codeFormat      = "AR462"
	codeHeaderTwice = "AR463"
	codeExpired     = "AR464"
	codeLength      = "AR465"
	codeAddress     = "AR466"
	codeField       = "CB500"

	codePreflight   = "preflight"
	codeEncoding    = "content_encoding"
	codeSlowBody    = "slow_body"
	codeOrigin      = "origin"
	codeReplayed    = "replayed"
	codeReplayFull  = "replay_full"
	codeSequence    = "sequence"
	codeRate        = "rate"
	codeWAMP        = "wamp_error"
	codeRefused     = "refused"
	codeUnavailable = "unavailable"
	codeTimeout     = "timeout"
	codeInternal    = "internal"
)

// fault is the answer to a request that is not published. A fault that was
// handed out is never changed.
type fault struct {
	code   string
	status int
	// semantic is the status under error_status: semantic; 0 means the same.
	semantic int
	text     string
	// args and kwargs are JSON; empty ones are written as [] and {}.
	args, kwargs json.RawMessage
	// after is what Retry-After says, rounded up to seconds; 0 means none.
	after time.Duration
	// closes ends the connection, because the request was not read to its end.
	closes bool
}

// shown is the status that the endpoint answers with.
func (f *fault) shown(l *live) int {
	if l.semantic && f.semantic != 0 {
		return f.semantic
	}
	return f.status
}

// badField is a refusal of a body that is JSON but cannot be published. The
// reference fails with status 500 there.
func badField(text string) *fault {
	return &fault{code: codeField, status: http.StatusBadRequest, text: text}
}

// tooMany is a refusal by one of the limits on how much a client may do.
func tooMany(text string, after time.Duration) *fault {
	return &fault{code: codeRate, status: http.StatusTooManyRequests, text: text, after: max(after, time.Second)}
}

// Error URIs that the endpoint answers by itself.
const (
	errorInvalidURI    = "wamp.error.invalid_uri"
	errorNotAuthorized = "wamp.error.not_authorized"
	errorInvalidArg    = "wamp.error.invalid_argument"
	errorRuntime       = "wamp.error.runtime_error"
	errorTimeout       = "wamp.error.timeout"
)

// wampFault is a refusal in WAMP's words. Status 200 is what the publisher
// profile has always answered; clients see it by the missing id.
func (l *live) wampFault(uri string, args, kwargs json.RawMessage) *fault {
	f := &fault{code: codeWAMP, status: http.StatusBadRequest, semantic: http.StatusBadRequest, text: uri}
	if l.config.Type == typePublisher {
		f.status = http.StatusOK
	}
	switch uri {
	case errorNotAuthorized:
		f.semantic = http.StatusForbidden
	case errorInvalidURI, errorInvalidArg:
		f.semantic = http.StatusUnprocessableEntity
	}
	if isKind(args, '[') {
		f.args = args
	}
	if isKind(kwargs, '{') {
		f.kwargs = kwargs
	}
	return f
}

// serverFault is a failure that is not the client's, with a sentence for people
// in args.
func serverFault(code string, status int, uri, sentence string, after time.Duration) *fault {
	return &fault{code: code, status: status, text: uri, args: sentences(sentence), after: after}
}

// sentences makes args of one sentence.
func sentences(sentence string) json.RawMessage {
	args, err := json.Marshal([]string{sentence})
	if err != nil {
		return nil // a list of strings is always JSON
	}
	return args
}

// isKind reports whether text is valid JSON that begins with kind.
func isKind(text json.RawMessage, kind byte) bool {
	s := scanner{data: text}
	v, err := s.document(nil)
	return err == nil && v.kind == kind
}
