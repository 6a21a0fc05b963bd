package rest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
)

// answers remembers what was answered, in the instance's State, so that all
// generations of the instance count together. An entry without a value is a claim:
// its request is at work.
type answers struct {
	bucket core.Bucket
	limit  int // for each app

	mu sync.Mutex
	// order has the ids that this process put, by app, oldest first. Those of an
	// earlier process go away with their time alone.
	order map[string]*queue
}

const (
	// maxAnswers is how many answers are remembered for an app.
	maxAnswers = 100_000

	// claimTime is how long a claim is good for: longer than a request may take,
	// so that it runs out only if its process died.
	claimTime = workTimeout + 5*time.Second

	// claimPoll is how often a claim of another process is looked at.
	claimPoll = 50 * time.Millisecond

	// abandonTime bounds giving up a claim.
	abandonTime = 2 * time.Second

	// stampSize is what stands before a remembered answer: when its request came,
	// in nanoseconds since 1970.
	stampSize = 8
)

func newAnswers(state core.State, limit int) *answers {
	return &answers{bucket: state.Bucket("answers"), limit: limit, order: make(map[string]*queue)}
}

// claim claims id, or returns the answer remembered under it whose request came
// less than a window before now. It waits while somebody else has the claim.
// forgotten is as in makeRoom.
func (a *answers) claim(ctx context.Context, app, id string, now time.Time, window time.Duration) (first []byte, forgotten int, err error) {
	revision := uint64(0)
	for {
		n, err := a.makeRoom(ctx, app, id, func() error {
			_, err := a.bucket.Replace(ctx, id, nil, claimTime, revision)
			return err
		})
		forgotten += n
		if !errors.Is(err, core.ErrRevision) {
			return nil, forgotten, wrapIf(err, "claim the idempotency_key")
		}
		entry, err := a.bucket.Get(ctx, id)
		switch {
		case errors.Is(err, core.ErrNoEntry):
			revision = 0
			continue
		case err != nil:
			return nil, forgotten, wrapIf(err, "look for the first answer")
		case len(entry.Value) >= stampSize:
			if came := time.Unix(0, int64(binary.BigEndian.Uint64(entry.Value))); now.Sub(came) < window {
				return entry.Value[stampSize:], forgotten, nil
			}
			revision = entry.Revision // its time is over: it can be replaced
			continue
		}
		select {
		case <-time.After(claimPoll):
		case <-ctx.Done():
			return nil, forgotten, wrapIf(ctx.Err(), "wait for the first answer")
		}
	}
}

func wrapIf(err error, doing string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// abandon gives up a claim, also for a request whose time is over.
func (a *answers) abandon(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), abandonTime)
	defer cancel()
	_ = a.bucket.Delete(ctx, id) // what stays goes away with its time
}

// put remembers an answer under an id that was claimed. forgotten is how many
// older ones made room for it.
func (a *answers) put(ctx context.Context, app, id string, body []byte, arrived time.Time, window time.Duration) (forgotten int, err error) {
	value := binary.BigEndian.AppendUint64(make([]byte, 0, stampSize+len(body)), uint64(arrived.UnixNano()))
	value = append(value, body...)
	if len(value) > core.MaxStateValue {
		return 0, fmt.Errorf("the answer has %d bytes, more than can be kept", len(value))
	}
	for _, oldest := range a.enqueue(app, id, arrived.Add(window), arrived) {
		if err := a.bucket.Delete(ctx, oldest); err == nil {
			forgotten++
		}
	}
	n, err := a.makeRoom(ctx, app, id, func() error {
		_, err := a.bucket.Put(ctx, id, value, window)
		return err
	})
	return forgotten + n, err
}

// makeRoom runs write, and while State is full forgets the app's oldest answers
// for it. It returns how many were forgotten.
func (a *answers) makeRoom(ctx context.Context, app, id string, write func() error) (forgotten int, err error) {
	for {
		err := write()
		var refusal *core.Refusal
		if !errors.As(err, &refusal) || refusal.Code != core.CodeTooLarge {
			return forgotten, err
		}
		oldest, ok := a.dequeue(app)
		if !ok {
			return forgotten, err
		}
		if oldest != id && a.bucket.Delete(ctx, oldest) == nil {
			forgotten++
		}
	}
}

// queue is the ids of one app, oldest first; what is before head is gone.
type queue struct {
	entries []queued
	head    int
}

type queued struct {
	id      string
	expires time.Time
}

// enqueue adds an id, drops what has expired, and returns the ids beyond the
// limit.
func (a *answers) enqueue(app, id string, expires, now time.Time) (beyond []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.order[app]
	if q == nil {
		q = new(queue)
		a.order[app] = q
	}
	for q.head < len(q.entries) && !now.Before(q.entries[q.head].expires) {
		q.pop()
	}
	for len(q.entries)-q.head >= a.limit {
		beyond = append(beyond, q.pop().id)
	}
	q.entries = append(q.entries, queued{id, expires})
	return beyond
}

// dequeue removes the oldest id.
func (a *answers) dequeue(app string) (id string, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	q := a.order[app]
	if q == nil || q.head == len(q.entries) {
		return "", false
	}
	return q.pop().id, true
}

// pop removes the first entry. The room of those that are gone is used again once
// they are the greater part.
func (q *queue) pop() queued {
	first := q.entries[q.head]
	q.head++
	if q.head > len(q.entries)/2 {
		q.entries = append(q.entries[:0], q.entries[q.head:]...)
		q.head = 0
	}
	return first
}
