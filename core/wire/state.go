package wire

import (
	"context"
	"fmt"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/wire/bridgev1"
	"github.com/pushbridge/bridge/core/wire/stream"
)

// instanceState is core.State for one instance in this process.
type instanceState struct {
	name   string
	client bridgev1.HostClient
}

// Bucket implements core.State.
func (s instanceState) Bucket(name string) core.Bucket { return bucket{s, name} }

type bucket struct {
	state instanceState
	name  string
}

// Get implements core.Bucket.
func (b bucket) Get(ctx context.Context, key string) (core.Entry, error) {
	reply, err := b.state.client.GetState(ctx, &bridgev1.GetStateRequest{Instance: b.state.name, Bucket: b.name, Key: key})
	if err != nil {
		return core.Entry{}, b.wrap("get", err)
	}
	if reply.GetEntry() == nil {
		return core.Entry{}, core.ErrNoEntry
	}
	return entryOf(reply.GetEntry()), nil
}

func entryOf(e *bridgev1.StateEntry) core.Entry {
	return core.Entry{Key: e.GetKey(), Value: e.GetValue(), Revision: e.GetRevision()}
}

// Put implements core.Bucket.
func (b bucket) Put(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	return b.put(ctx, key, value, ttl, nil)
}

// Replace implements core.Bucket.
func (b bucket) Replace(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	return b.put(ctx, key, value, ttl, &revision)
}

func (b bucket) put(ctx context.Context, key string, value []byte, ttl time.Duration, revision *uint64) (uint64, error) {
	reply, err := b.state.client.PutState(ctx, &bridgev1.PutStateRequest{
		Instance: b.state.name, Bucket: b.name, Key: key, Value: value, Ttl: int64(max(ttl, 0)), Revision: revision,
	})
	if err != nil {
		return 0, b.wrap("put", err)
	}
	if reply.GetConflict() {
		return 0, core.ErrRevision
	}
	return reply.GetRevision(), nil
}

// Delete implements core.Bucket.
func (b bucket) Delete(ctx context.Context, key string) error {
	_, err := b.state.client.DeleteState(ctx, &bridgev1.DeleteStateRequest{Instance: b.state.name, Bucket: b.name, Key: key})
	return b.wrap("delete", err)
}

// List implements core.Bucket.
func (b bucket) List(ctx context.Context, prefix string) ([]core.Entry, error) {
	reply, err := b.state.client.ListState(ctx, &bridgev1.ListStateRequest{Instance: b.state.name, Bucket: b.name, Prefix: prefix})
	if err != nil {
		return nil, b.wrap("list", err)
	}
	entries := make([]core.Entry, 0, len(reply.GetEntries()))
	for _, e := range reply.GetEntries() {
		entries = append(entries, entryOf(e))
	}
	return entries, nil
}

func (b bucket) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s in bucket %s: %w", what, b.name, stream.FromStatus(err))
}
