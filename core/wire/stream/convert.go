package stream

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
)

// InfoToProto and its inverse carry core.Info across.
func InfoToProto(info core.Info) *bridgev1.Info {
	kinds := make([]bridgev1.Kind, len(info.Kinds))
	for i, kind := range info.Kinds {
		kinds[i] = bridgev1.Kind(kind)
	}
	return &bridgev1.Info{
		Name: info.Name, Version: info.Version, Summary: info.Summary,
		Source: info.Source, Sink: info.Sink,
		Config: info.Config, Calls: info.Calls,
		IssuesIds: info.IssuesIDs,
		Scope:     bridgev1.Scope(info.Scope),
		Kinds:     kinds,
	}
}

// InfoFromProto is the inverse of InfoToProto.
func InfoFromProto(info *bridgev1.Info) core.Info {
	var kinds []core.Kind
	for _, kind := range info.GetKinds() {
		kinds = append(kinds, core.Kind(kind))
	}
	return core.Info{
		Name: info.GetName(), Version: info.GetVersion(), Summary: info.GetSummary(),
		Source: info.GetSource(), Sink: info.GetSink(),
		Config: info.GetConfig(), Calls: info.GetCalls(),
		IssuesIDs: info.GetIssuesIds(),
		Scope:     core.Scope(info.GetScope()),
		Kinds:     kinds,
	}
}

// ValidationToProto and its inverse carry core.Validation across.
func ValidationToProto(v core.Validation) *bridgev1.ValidateReply {
	reply := &bridgev1.ValidateReply{}
	for _, f := range v.Findings {
		reply.Findings = append(reply.Findings, &bridgev1.Finding{
			Path: f.Path, Severity: bridgev1.Severity(f.Severity), Message: f.Message,
		})
	}
	for _, a := range v.Addresses {
		reply.Addresses = append(reply.Addresses, &bridgev1.Address{Listen: a.Listen, Paths: a.Paths, Tls: a.TLS})
	}
	return reply
}

// ValidationFromProto is the inverse of ValidationToProto.
func ValidationFromProto(reply *bridgev1.ValidateReply) core.Validation {
	var v core.Validation
	for _, f := range reply.GetFindings() {
		v.Findings = append(v.Findings, core.Finding{
			Path: f.GetPath(), Severity: core.Severity(f.GetSeverity()), Message: f.GetMessage(),
		})
	}
	for _, a := range reply.GetAddresses() {
		v.Addresses = append(v.Addresses, core.Address{Listen: a.GetListen(), Paths: a.GetPaths(), TLS: a.GetTls()})
	}
	return v
}

// CallToProto and its inverse carry core.Call across.
func CallToProto(call core.Call) *bridgev1.Call {
	return &bridgev1.Call{Op: call.Op, Space: call.Space, Topic: call.Topic, Params: call.Params}
}

// CallFromProto is the inverse of CallToProto.
func CallFromProto(call *bridgev1.Call) core.Call {
	return core.Call{Op: call.GetOp(), Space: call.GetSpace(), Topic: call.GetTopic(), Params: call.GetParams()}
}

// AnswerToProto and its inverse carry core.Answer across.
func AnswerToProto(answer core.Answer) *bridgev1.Answer {
	return &bridgev1.Answer{Sink: answer.Sink, None: answer.None, Data: answer.Data, Error: refusalToProto(answer.Err)}
}

// AnswerFromProto is the inverse of AnswerToProto.
func AnswerFromProto(answer *bridgev1.Answer) core.Answer {
	return core.Answer{
		Sink: answer.GetSink(), None: answer.GetNone(), Data: answer.GetData(),
		Err: refusalFromProto(answer.GetError()),
	}
}

func refusalToProto(r *core.Refusal) *bridgev1.Refusal {
	if r == nil {
		return nil
	}
	return &bridgev1.Refusal{
		Code: r.Code, Message: r.Message, Retryable: r.Retryable,
		After: int64(r.After), Outcome: bridgev1.Outcome(r.Outcome),
	}
}

func refusalFromProto(r *bridgev1.Refusal) *core.Refusal {
	if r == nil {
		return nil
	}
	return &core.Refusal{
		Code: r.GetCode(), Message: r.GetMessage(), Retryable: r.GetRetryable(),
		After: max(time.Duration(r.GetAfter()), 0), Outcome: core.Outcome(r.GetOutcome()),
	}
}

// ToStatus makes a gRPC error of an adapter's error, a refusal with its fields.
func ToStatus(err error) error {
	if err == nil {
		return nil
	}
	var refusal *core.Refusal
	if !errors.As(err, &refusal) {
		return status.Error(codes.Unknown, err.Error())
	}
	st, detailErr := status.New(codes.Unknown, err.Error()).WithDetails(refusalToProto(refusal))
	if detailErr != nil {
		return status.Error(codes.Unknown, err.Error())
	}
	return st.Err()
}

// FromStatus is the inverse of ToStatus: a refusal comes back as one, anything
// else as the plain text of the error.
func FromStatus(err error) error {
	st, ok := status.FromError(err)
	if !ok || err == nil {
		return err
	}
	for _, detail := range st.Details() {
		if refusal, ok := detail.(*bridgev1.Refusal); ok {
			return refusalFromProto(refusal)
		}
	}
	switch st.Code() {
	case codes.Unknown:
		return errors.New(st.Message())
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	}
	return err
}
