package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Adapter is what a plugin serves: the implementation of one protocol side.
// Describe and Validate work offline: no I/O, no state. All methods may be
// called from any goroutine.
type Adapter interface {
	// Describe says what the adapter is. It answers the same each time.
	Describe() Info

	// Validate checks one instance's configuration, which has already passed
	// Info.Config, and returns every finding at once. It must not look at the
	// machine: whether a file exists or an address is free shows at Start.
	Validate(config json.RawMessage) Validation

	// Open makes an instance with the given unique name and configuration. It
	// may read files; it must not yet accept or send anything. The host stays
	// valid until the instance's Stop returned. ctx bounds Open alone.
	Open(ctx context.Context, name string, config json.RawMessage, host Host) (Instance, error)
}

// Instance is an adapter at work. A source needs no more than this and
// [Host.Publish].
//
// The bus calls Start once, after Open. Deliver, Answer and Check may come as
// soon as Open returned. Stop is called last, also when Start failed or never
// came.
type Instance interface {
	// Start begins accepting and returns once ready. ctx bounds the start
	// alone; what Start leaves running ends with Stop.
	Start(ctx context.Context) error

	// Stop finishes what is under way until ctx ends, then releases everything:
	// when it returns, no goroutine, socket or file of the instance is left. It
	// is safe to call twice and without Start.
	Stop(ctx context.Context) error
}

// Sink takes events. An instance whose Info says Sink implements it; most
// authors get it from [Each].
type Sink interface {
	// Deliver returns when the batch is taken; blocking is backpressure, and
	// the next batch comes only afterwards. Each event is answered once through
	// the batch, sooner or later, from any goroutine, in any order. An error
	// refuses the events of the batch that are not answered yet.
	//
	// ctx lives until the instance is stopped, so work that outlasts the call
	// may go on using it.
	Deliver(ctx context.Context, batch Batch) error
}

// Drainer is an Instance with listeners to send away before it stops.
type Drainer interface {
	// Drain accepts nobody new and sends listeners away at an even pace until
	// ctx ends. Deliver and Answer go on until it returns; Stop follows.
	Drain(ctx context.Context) error
}

// Reconfigurer is an Instance that can change its configuration while it works.
type Reconfigurer interface {
	// Reconfigure applies config in place, all of it, disconnecting nobody; or
	// changes nothing and returns [ErrRestart] (the change needs a new
	// instance) or another error (the configuration is wrong).
	Reconfigure(ctx context.Context, config json.RawMessage) error
}

// ErrRestart is the answer of a [Reconfigurer] to a change that it cannot apply
// in place.
var ErrRestart = errors.New("this change needs a new instance")

// Answerer is an Instance that answers the ops named in Info.Calls.
type Answerer interface {
	// Answer must not wait for the network beyond ctx.
	Answer(ctx context.Context, call Call) Answer
}

// Checker is an Instance that knows more about its readiness than that it runs.
type Checker interface {
	// Check returns nil when the instance can do its work now, else the reason
	// in words for its operator.
	Check(ctx context.Context) error
}

// Info describes an adapter.
type Info struct {
	// Name is what files write after "adapter:": lower-case letters, digits and
	// dashes.
	Name string
	// Version of the adapter, in any form that its author uses.
	Version string
	// Summary is one line for lists.
	Summary string
	// Source says that instances publish; Sink that they take events.
	Source, Sink bool
	// Config is the JSON Schema (2020-12) of the configuration. It feeds lint,
	// the docs and editors. Properties that hold secrets are marked writeOnly.
	Config json.RawMessage
	// Calls lists the ops that instances answer.
	Calls []string
	// IssuesIDs says that accepted events get a Receipt.ID from this sink.
	IssuesIDs bool
	// Scope says who delivers in a cluster. It decides nothing on one node.
	Scope Scope
	// Kinds are the kinds of events that instances emit as a source.
	Kinds []Kind
}

// Scope says on which nodes of a cluster a sink must see an event.
type Scope uint8

// The scopes.
const (
	ScopeEveryNode Scope = iota // each node has listeners of its own
	ScopeOnce                   // one node delivers for all: webhooks, callbacks
)

// Validation is the result of [Adapter.Validate].
type Validation struct {
	Findings []Finding
	// Addresses that the instance will listen on. Two instances that want one
	// address are found by comparing these, before anything starts.
	Addresses []Address
}

// Failed reports whether one of the findings is an error.
func (v Validation) Failed() bool {
	for _, f := range v.Findings {
		if f.Severity == SeverityError {
			return true
		}
	}
	return false
}

// Finding is one remark on a configuration.
type Finding struct {
	// Path is a JSON pointer (RFC 6901) into the instance's configuration:
	// "/realms/0/name"; "" is the whole.
	Path     string
	Severity Severity
	// Message says what is wrong and what to write instead.
	Message string
}

// Severity of a Finding.
type Severity uint8

// The severities. An error keeps the route from starting.
const (
	SeverityError Severity = iota
	SeverityWarning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == SeverityWarning {
		return "warning"
	}
	return "error"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Severity) UnmarshalText(text []byte) error {
	for _, known := range []Severity{SeverityError, SeverityWarning} {
		if known.String() == string(text) {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("unknown severity %q", text)
}

// Address is somewhere an instance listens.
type Address struct {
	// Listen is "host:port" or "unix:/path".
	Listen string `json:"listen"`
	// Paths are the URL paths served there, for lists and for the check that
	// instances in one process do not share a path. Empty for other protocols
	// than HTTP.
	Paths []string `json:"paths,omitempty"`
	// TLS says that the address speaks TLS.
	TLS bool `json:"tls,omitempty"`
}
