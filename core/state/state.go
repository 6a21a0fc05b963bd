// Package state keeps the buckets of instances (core.State) in the memory of the
// bridge: they outlive plugins and reloads, not the bridge. Instances are told
// apart by name, so all generations of one see the same buckets.
package state

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
)

// Store holds the buckets of all instances. Its methods may be called from any
// goroutine.
type Store struct {
	mu        sync.Mutex
	instances map[string]*buckets
	now       func() time.Time
}

// buckets are those of one instance.
type buckets struct {
	byName   map[string]map[string]entry
	bytes    int
	revision uint64
	swept    time.Time
}

type entry struct {
	value    []byte
	revision uint64
	expires  time.Time // zero: never
}

// size is what an entry counts for.
func size(key string, e entry) int { return len(key) + len(e.value) + entryOverhead }

// entryOverhead is about what the maps need for an entry.
const entryOverhead = 128

// sweepEvery is how often, at most, expired entries are looked for that nobody
// asks about.
const sweepEvery = time.Minute

// New returns an empty store.
func New() *Store { return &Store{instances: make(map[string]*buckets), now: time.Now} }

// Instance returns the state of the named instance.
func (s *Store) Instance(name string) core.State { return instanceState{s, name} }

type instanceState struct {
	store *Store
	name  string
}

// Bucket implements core.State.
func (i instanceState) Bucket(name string) core.Bucket { return bucket{i.store, i.name, name} }

// bucket is one bucket of one instance, found anew for each operation.
type bucket struct {
	store          *Store
	instance, name string
}

// open locks the store and returns the instance's buckets.
func (b bucket) open() (*buckets, time.Time) {
	b.store.mu.Lock()
	now := b.store.now()
	i := b.store.instances[b.instance]
	if i == nil {
		i = &buckets{byName: make(map[string]map[string]entry), swept: now}
		b.store.instances[b.instance] = i
	}
	if now.Sub(i.swept) > sweepEvery {
		i.sweep(now)
	}
	return i, now
}

func (b bucket) close() { b.store.mu.Unlock() }

// sweep removes what has expired.
func (i *buckets) sweep(now time.Time) {
	i.swept = now
	for name, keys := range i.byName {
		for key, e := range keys {
			if e.expired(now) {
				i.remove(name, key)
			}
		}
	}
}

func (e entry) expired(now time.Time) bool { return !e.expires.IsZero() && !now.Before(e.expires) }

// find returns a key's entry if it has not expired.
func (i *buckets) find(name, key string, now time.Time) (entry, bool) {
	e, ok := i.byName[name][key]
	if ok && e.expired(now) {
		i.remove(name, key)
		return entry{}, false
	}
	return e, ok
}

func (i *buckets) remove(name, key string) {
	keys := i.byName[name]
	if e, ok := keys[key]; ok {
		i.bytes -= size(key, e)
		delete(keys, key)
	}
	if len(keys) == 0 {
		delete(i.byName, name)
	}
}

// Get implements core.Bucket.
func (b bucket) Get(_ context.Context, key string) (core.Entry, error) {
	i, now := b.open()
	defer b.close()
	e, ok := i.find(b.name, key, now)
	if !ok {
		return core.Entry{}, core.ErrNoEntry
	}
	return e.copy(key), nil
}

func (e entry) copy(key string) core.Entry {
	return core.Entry{Key: key, Value: slices.Clone(e.value), Revision: e.revision}
}

// Put implements core.Bucket.
func (b bucket) Put(_ context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	i, now := b.open()
	defer b.close()
	return i.put(b.name, key, value, ttl, now)
}

// Replace implements core.Bucket.
func (b bucket) Replace(_ context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	i, now := b.open()
	defer b.close()
	if e, _ := i.find(b.name, key, now); e.revision != revision {
		return 0, core.ErrRevision
	}
	return i.put(b.name, key, value, ttl, now)
}

func (i *buckets) put(name, key string, value []byte, ttl time.Duration, now time.Time) (uint64, error) {
	if len(key) > core.MaxStateKey || len(name) > core.MaxStateKey {
		return 0, core.Refuse(core.CodeTooLarge, "key of %d bytes: the limit is %d", len(key), core.MaxStateKey)
	}
	if len(value) > core.MaxStateValue {
		return 0, core.Refuse(core.CodeTooLarge, "value of %d bytes: the limit is %d", len(value), core.MaxStateValue)
	}
	i.revision++
	e := entry{value: slices.Clone(value), revision: i.revision}
	if ttl > 0 {
		e.expires = now.Add(ttl)
	}
	old, replaces := i.byName[name][key]
	grown := i.bytes + size(key, e)
	if replaces {
		grown -= size(key, old)
	}
	if grown > core.MaxStateBytes {
		return 0, core.Refuse(core.CodeTooLarge, "the instance's state would have %d bytes: the limit is %d", grown, core.MaxStateBytes)
	}
	if i.byName[name] == nil {
		i.byName[name] = make(map[string]entry)
	}
	i.byName[name][key], i.bytes = e, grown
	return e.revision, nil
}

// Delete implements core.Bucket.
func (b bucket) Delete(_ context.Context, key string) error {
	i, _ := b.open()
	defer b.close()
	i.remove(b.name, key)
	return nil
}

// List implements core.Bucket.
func (b bucket) List(_ context.Context, prefix string) ([]core.Entry, error) {
	i, now := b.open()
	defer b.close()
	var list []core.Entry
	for _, key := range slices.Sorted(maps.Keys(i.byName[b.name])) {
		if e, ok := i.find(b.name, key, now); ok && strings.HasPrefix(key, prefix) {
			list = append(list, e.copy(key))
		}
	}
	return list, nil
}
