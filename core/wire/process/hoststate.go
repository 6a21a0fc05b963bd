package process

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// bucket finds a bucket of an instance that is open in this process.
func (h *hostServer) bucket(instance, name string) (core.Bucket, error) {
	if _, err := h.instance(instance); err != nil {
		return nil, err
	}
	if h.services.State == nil {
		return nil, status.Error(codes.Unimplemented, "this bridge keeps no state")
	}
	return h.services.State.Instance(instance).Bucket(name), nil
}

// GetState implements bridge.v1.Host.
func (h *hostServer) GetState(ctx context.Context, r *bridgev1.GetStateRequest) (*bridgev1.GetStateReply, error) {
	b, err := h.bucket(r.GetInstance(), r.GetBucket())
	if err != nil {
		return nil, err
	}
	e, err := b.Get(ctx, r.GetKey())
	if errors.Is(err, core.ErrNoEntry) {
		return &bridgev1.GetStateReply{}, nil
	}
	return &bridgev1.GetStateReply{Entry: protoEntry(e)}, stream.ToStatus(err)
}

func protoEntry(e core.Entry) *bridgev1.StateEntry {
	return &bridgev1.StateEntry{Key: e.Key, Value: e.Value, Revision: e.Revision}
}

// PutState implements bridge.v1.Host.
func (h *hostServer) PutState(ctx context.Context, r *bridgev1.PutStateRequest) (*bridgev1.PutStateReply, error) {
	b, err := h.bucket(r.GetInstance(), r.GetBucket())
	if err != nil {
		return nil, err
	}
	ttl := max(time.Duration(r.GetTtl()), 0)
	var revision uint64
	if r.Revision == nil {
		revision, err = b.Put(ctx, r.GetKey(), r.GetValue(), ttl)
	} else {
		revision, err = b.Replace(ctx, r.GetKey(), r.GetValue(), ttl, r.GetRevision())
	}
	if errors.Is(err, core.ErrRevision) {
		return &bridgev1.PutStateReply{Conflict: true}, nil
	}
	return &bridgev1.PutStateReply{Revision: revision}, stream.ToStatus(err)
}

// DeleteState implements bridge.v1.Host.
func (h *hostServer) DeleteState(ctx context.Context, r *bridgev1.DeleteStateRequest) (*bridgev1.DeleteStateReply, error) {
	b, err := h.bucket(r.GetInstance(), r.GetBucket())
	if err != nil {
		return nil, err
	}
	return &bridgev1.DeleteStateReply{}, stream.ToStatus(b.Delete(ctx, r.GetKey()))
}

// ListState implements bridge.v1.Host.
func (h *hostServer) ListState(ctx context.Context, r *bridgev1.ListStateRequest) (*bridgev1.ListStateReply, error) {
	b, err := h.bucket(r.GetInstance(), r.GetBucket())
	if err != nil {
		return nil, err
	}
	entries, err := b.List(ctx, r.GetPrefix())
	if err != nil {
		return nil, stream.ToStatus(err)
	}
	reply := &bridgev1.ListStateReply{}
	for _, e := range entries {
		reply.Entries = append(reply.Entries, protoEntry(e))
	}
	return reply, nil
}
