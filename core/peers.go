package core

import (
	"context"
	"errors"
	"time"
)

// Peers are the other generations of an instance: while it is replaced, two of
// one name are at work at the same time (later, one on each node of a cluster).
type Peers interface {
	// List names the peers there are now; it is empty most of the time. The
	// names mean nothing beyond that they differ. It does not block.
	List() []string

	// Broadcast sends a message to every peer there is, which gets it through
	// its [PeerReceiver], in the order of the calls. It returns once the message
	// is on its way; without peers it does nothing. It blocks while a peer does
	// not keep up, until ctx ends.
	Broadcast(ctx context.Context, message []byte) error
}

// PeerReceiver is an Instance that its peers can talk to.
type PeerReceiver interface {
	// FromPeer takes a message of a peer. It is called for one message at a
	// time, from Open until Stop; blocking holds the peers up. The message is
	// the receiver's to keep.
	FromPeer(ctx context.Context, peer string, message []byte)

	// PeersChanged says that peers came or went; [Peers.List] has them. It is
	// called in turn with FromPeer.
	PeersChanged(ctx context.Context)
}

// State keeps what an instance must not forget when it is replaced or its process
// dies: named buckets of keys and values, private to the instance's name and
// shared by its generations. It lives in the memory of the bridge.
type State interface {
	// Bucket returns the bucket of that name; a bucket that nobody has put
	// anything into is empty.
	Bucket(name string) Bucket
}

// Bucket is one set of keys and values. All methods may be called from any
// goroutine. Their errors wrap a [*Refusal] where the bridge refused: with
// [CodeTooLarge] if a key, a value or all buckets of the instance together are
// beyond [MaxStateKey], [MaxStateValue] or [MaxStateBytes].
type Bucket interface {
	// Get returns the entry of a key, [ErrNoEntry] if there is none.
	Get(ctx context.Context, key string) (Entry, error)

	// Put sets a key's value and returns the entry's new revision. With a
	// positive ttl the entry goes away by itself after that time.
	Put(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error)

	// Replace is Put if the key's revision is still the given one, zero meaning
	// that there is no entry; else it returns [ErrRevision].
	Replace(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error)

	// Delete removes a key, whether or not it is there.
	Delete(ctx context.Context, key string) error

	// List returns the entries whose key begins with prefix, in order of key.
	List(ctx context.Context, prefix string) ([]Entry, error)
}

// Entry is a key with its value.
type Entry struct {
	Key   string
	Value []byte
	// Revision changes with every Put of the key and is never used twice in a
	// bucket.
	Revision uint64
}

// Errors of a [Bucket].
var (
	ErrNoEntry  = errors.New("no such entry")
	ErrRevision = errors.New("the entry has another revision")
)

// Limits on State.
const (
	MaxStateKey   = 1 << 10
	MaxStateValue = 1 << 20
	MaxStateBytes = 64 << 20 // all buckets of an instance
)
