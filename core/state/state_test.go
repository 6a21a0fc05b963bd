package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
)

var ctx = context.Background()

func TestBucket(t *testing.T) {
	store := New()
	b := store.Instance("a").Bucket("x")
	if _, err := b.Get(ctx, "k"); !errors.Is(err, core.ErrNoEntry) {
		t.Errorf("error %v", err)
	}
	value := []byte("one")
	first, err := b.Put(ctx, "k", value, 0)
	if err != nil {
		t.Fatal(err)
	}
	value[0] = 'X' // the bucket keeps its own
	if e, err := b.Get(ctx, "k"); err != nil || string(e.Value) != "one" || e.Revision != first {
		t.Errorf("%+v %v", e, err)
	}
	if _, err := b.Replace(ctx, "k", nil, 0, first+1); !errors.Is(err, core.ErrRevision) {
		t.Errorf("error %v", err)
	}
	if _, err := b.Replace(ctx, "new", nil, 0, 1); !errors.Is(err, core.ErrRevision) {
		t.Errorf("error %v", err)
	}
	second, err := b.Replace(ctx, "k", []byte("two"), 0, first)
	if err != nil || second <= first {
		t.Errorf("%d %v", second, err)
	}
	if _, err := b.Replace(ctx, "new", []byte("n"), 0, 0); err != nil {
		t.Error(err)
	}
	if _, err := b.Put(ctx, "other", nil, 0); err != nil {
		t.Error(err)
	}
	list, err := b.List(ctx, "")
	var keys []string
	for _, e := range list {
		keys = append(keys, e.Key)
	}
	if err != nil || !cmp.Equal(keys, []string{"k", "new", "other"}) {
		t.Errorf("%v %v", keys, err)
	}
	if list, _ := b.List(ctx, "n"); len(list) != 1 || string(list[0].Value) != "n" {
		t.Errorf("%+v", list)
	}
	if err := b.Delete(ctx, "k"); err != nil {
		t.Error(err)
	}
	if third, err := b.Replace(ctx, "k", nil, 0, 0); err != nil || third <= second {
		t.Errorf("a revision was used twice: %d %v", third, err)
	}
	// Buckets and instances are apart; generations of a name are not.
	if _, err := store.Instance("a").Bucket("y").Get(ctx, "k"); !errors.Is(err, core.ErrNoEntry) {
		t.Errorf("error %v", err)
	}
	if _, err := store.Instance("b").Bucket("x").Get(ctx, "k"); !errors.Is(err, core.ErrNoEntry) {
		t.Errorf("error %v", err)
	}
	if _, err := store.Instance("a").Bucket("x").Get(ctx, "other"); err != nil {
		t.Error(err)
	}
}

func TestExpiry(t *testing.T) {
	store, now := New(), time.Unix(1000, 0)
	store.now = func() time.Time { return now }
	b := store.Instance("a").Bucket("x")
	for _, key := range []string{"asked", "listed", "swept", "renewed"} {
		if _, err := b.Put(ctx, key, []byte(key), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(900 * time.Millisecond)
	if _, err := b.Put(ctx, "renewed", nil, time.Second); err != nil {
		t.Fatal(err)
	}
	now = now.Add(100 * time.Millisecond)
	if _, err := b.Get(ctx, "asked"); !errors.Is(err, core.ErrNoEntry) {
		t.Errorf("error %v", err)
	}
	if list, _ := b.List(ctx, ""); len(list) != 1 || list[0].Key != "renewed" {
		t.Errorf("%+v", list)
	}
	now = now.Add(2 * sweepEvery)
	_, _ = store.Instance("a").Bucket("other").Get(ctx, "x")
	if i := store.instances["a"]; i.bytes != 0 || len(i.byName) != 0 {
		t.Errorf("%d bytes in %d buckets are left", i.bytes, len(i.byName))
	}
}

func TestLimits(t *testing.T) {
	b := New().Instance("a").Bucket("x")
	refused := func(err error) bool {
		r := core.AsRefusal(err)
		return r != nil && r.Code == core.CodeTooLarge
	}
	if _, err := b.Put(ctx, strings.Repeat("k", core.MaxStateKey+1), nil, 0); !refused(err) {
		t.Errorf("error %v", err)
	}
	large := bytes.Repeat([]byte("v"), core.MaxStateValue)
	if _, err := b.Put(ctx, "k", append(large, 'v'), 0); !refused(err) {
		t.Errorf("error %v", err)
	}
	var err error
	for n := 0; err == nil && n < 100; n++ {
		_, err = b.Put(ctx, fmt.Sprint(n), large, 0)
	}
	if !refused(err) {
		t.Errorf("error %v", err)
	}
	if _, err := b.Put(ctx, "0", large, 0); err != nil {
		t.Errorf("replacing a value of the same size: %v", err)
	}
	if err := b.Delete(ctx, "1"); err != nil {
		t.Error(err)
	}
	if _, err := b.Put(ctx, "more", large, 0); err != nil {
		t.Errorf("there is room again: %v", err)
	}
}

func TestReplaceIsAtomic(t *testing.T) {
	b := New().Instance("a").Bucket("x")
	var adding sync.WaitGroup
	const workers, each = 8, 200
	for range workers {
		adding.Go(func() {
			for range each {
				for {
					e, _ := b.Get(ctx, "n")
					if _, err := b.Replace(ctx, "n", append(e.Value, 'x'), 0, e.Revision); err == nil {
						break
					}
				}
			}
		})
	}
	adding.Wait()
	if e, err := b.Get(ctx, "n"); err != nil || len(e.Value) != workers*each {
		t.Errorf("%d, want %d: %v", len(e.Value), workers*each, err)
	}
}
