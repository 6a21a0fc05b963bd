package core

import (
	"encoding/json"
	"fmt"
)

// Call is a question or an order to the sinks of a route ("may this role
// publish there?", "which channels are occupied?"). The well-known ops and the
// types of their parameters and answers stand in this file, so that any sink
// with listeners can answer them, whatever protocol asks.
type Call struct {
	// Op names the question: one of the Op constants.
	Op string
	// Space and Topic say what it is about; empty where the op needs none.
	Space string
	Topic string
	// Params is the JSON of the op's parameter type.
	Params json.RawMessage
}

// Answer is what one sink answers to a Call.
type Answer struct {
	// Sink is the name of the instance that answers; the bus fills it in.
	Sink string
	// None says that the sink has nothing to do with what was asked (another
	// tenant's space). The bus leaves such answers out.
	None bool
	// Data is the JSON of the op's answer type.
	Data json.RawMessage
	// Err says that the sink could not answer.
	Err *Refusal
}

// The well-known ops.
const (
	// OpPublishAuthorize asks the owner of Space whether a role may publish on
	// Topic. Params: [AuthorizeParams]. Answer: [Authorization]. A sink that
	// does not own the space answers None.
	OpPublishAuthorize = "publish.authorize"
)

// AuthorizeParams are the parameters of [OpPublishAuthorize].
type AuthorizeParams struct {
	Role string `json:"role"`
}

// Authorization is the answer to [OpPublishAuthorize].
type Authorization struct {
	Allowed bool `json:"allowed"`
	// Error is the error URI of a refusal, with its arguments.
	Error  string          `json:"error,omitempty"`
	Args   json.RawMessage `json:"args,omitempty"`
	Kwargs json.RawMessage `json:"kwargs,omitempty"`
}

// NewCall builds a Call with params as JSON; nil params are left out. The error
// is that params cannot be JSON.
func NewCall(op, space, topic string, params any) (Call, error) {
	call := Call{Op: op, Space: space, Topic: topic}
	if params == nil {
		return call, nil
	}
	data, err := json.Marshal(params)
	if err != nil {
		return Call{}, fmt.Errorf("parameters of call %s: %w", op, err)
	}
	call.Params = data
	return call, nil
}

// NewAnswer builds an Answer with data as JSON. Data that cannot be JSON makes
// an Answer with Err.
func NewAnswer(data any) Answer {
	encoded, err := json.Marshal(data)
	if err != nil {
		return Answer{Err: Refuse(CodeInternal, "answer is no JSON: %v", err)}
	}
	return Answer{Data: encoded}
}

// Decode reads the call's parameters into v.
func (c Call) Decode(v any) error {
	if err := json.Unmarshal(c.Params, v); err != nil {
		return fmt.Errorf("parameters of call %s: %w", c.Op, err)
	}
	return nil
}

// Decode reads the answer's data into v.
func (a Answer) Decode(v any) error {
	if err := json.Unmarshal(a.Data, v); err != nil {
		return fmt.Errorf("answer of %s: %w", a.Sink, err)
	}
	return nil
}
