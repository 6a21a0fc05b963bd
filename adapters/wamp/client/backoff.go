package client

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait between attempts: a random part of a time that
// begins at Initial and is multiplied by Factor until it is Cap.
type Backoff struct {
	Initial, Cap time.Duration
	Factor       float64
}

// steady is how long a session must have stood for its loss to be a new one.
const steady = time.Minute

// start begins a row of waits.
func (b Backoff) start() *waits { return &waits{Backoff: b, next: b.Initial} }

type waits struct {
	Backoff
	next time.Duration
}

// sleep waits, the longest at once if long, and reports false if ctx ended.
func (w *waits) sleep(ctx context.Context, long bool) bool {
	if long {
		w.next = w.Cap
	}
	timer := time.NewTimer(rand.N(w.next) + 1)
	defer timer.Stop()
	w.next = min(time.Duration(float64(w.next)*w.Factor), w.Cap)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
