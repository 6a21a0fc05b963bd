package socket

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strconv"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/socket/space"
	"github.com/pushbridge/bridge/core"
)

// store keeps what an app must not forget when the process dies or is replaced:
// its cached events, and what the bus has been told of its channels.
type store struct {
	happenings, caches core.Bucket
	log                *slog.Logger
}

func newStore(host core.Host) store {
	return store{host.State().Bucket("happenings"), host.State().Bucket("cache"), host.Log()}
}

// place is where an app's entries are. Ids and channels may be longer than a key.
func place(app string) string { return digest(app) + "/" }

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// save stores what has changed.
func (s store) save(ctx context.Context, app string, from *space.Space) {
	var failed error
	for part, value := range from.Unsaved() {
		err := put(ctx, s.happenings, place(app)+strconv.Itoa(part), value, 0)
		failed = cmp.Or(failed, err)
	}
	for _, c := range from.UnsavedCache() {
		err := put(ctx, s.caches, place(app)+digest(c.Channel), c.Value, c.TTL)
		failed = cmp.Or(failed, err)
	}
	if failed != nil {
		s.log.Warn("something was not stored: it is lost if this process ends", "app", app, "error", failed)
	}
}

// put stores a value; nil is none.
func put(ctx context.Context, bucket core.Bucket, key string, value []byte, ttl time.Duration) error {
	if value == nil {
		return bucket.Delete(ctx, key)
	}
	_, err := bucket.Put(ctx, key, value, ttl)
	return err
}

// told returns what the bus has been told, for Space.Own.
func (s store) told(ctx context.Context, app string) [][]byte {
	return s.values(ctx, s.happenings, app)
}

// cached returns the cached events, for Space.RestoreCache.
func (s store) cached(ctx context.Context, app string) [][]byte { return s.values(ctx, s.caches, app) }

func (s store) values(ctx context.Context, bucket core.Bucket, app string) [][]byte {
	entries, err := bucket.List(ctx, place(app))
	if err != nil {
		s.log.Warn("what another process had stored cannot be read", "error", err)
	}
	values := make([][]byte, len(entries))
	for n := range entries {
		values[n] = entries[n].Value
	}
	return values
}
