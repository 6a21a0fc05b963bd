package crossbar

import (
	"container/heap"
	"sync"
	"time"
)

// replayGrace is how much longer a signed request is remembered than its
// timestamp is fresh.
const replayGrace = 5 * time.Second

// replayID is what makes two signed requests the same: the key and the MAC. The
// text of a signature has several spellings, and requests with different seq and
// nonce can have the same MAC, since nothing separates what it covers.
type replayID struct {
	key string
	mac signature
}

// replayEntry is a signed request that was let through.
type replayEntry struct {
	id      replayID
	expires time.Time
	index   int // in the heap; -1 once it is out

	// done is closed when outcome is set; nil if no repeat can wait for it.
	done    chan struct{}
	outcome outcome
}

// replays remembers signed requests so that each is published once.
type replays struct {
	mu      sync.Mutex
	entries map[replayID]*replayEntry
	expiry  replayHeap
}

func newReplays() *replays {
	return &replays{entries: make(map[replayID]*replayEntry)}
}

// admission is what replays says of a request.
type admission uint8

const (
	admitted admission = iota // it is new and now remembered
	repeated                  // it was there before
	full                      // it is new and there is no room to remember it
)

// admit remembers the request until expires. Of a repeat it returns the entry of
// the first. The caller of an admitted request must call settle.
func (r *replays) admit(id replayID, now, expires time.Time, limit int, awaited bool) (*replayEntry, admission) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	if first, ok := r.entries[id]; ok {
		return first, repeated
	}
	if len(r.entries) >= limit {
		return nil, full
	}
	entry := &replayEntry{id: id, expires: expires}
	if awaited {
		entry.done = make(chan struct{})
	}
	r.entries[id] = entry
	heap.Push(&r.expiry, entry)
	return entry, admitted
}

// settle records what became of an admitted request. If it may come again, it is
// forgotten.
func (r *replays) settle(entry *replayEntry, result outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	entry.outcome = result
	if entry.done != nil {
		close(entry.done)
	}
	if result.again && entry.index >= 0 {
		heap.Remove(&r.expiry, entry.index)
		delete(r.entries, entry.id)
	}
}

// expire forgets what has expired.
func (r *replays) expire(now time.Time) {
	for len(r.expiry) > 0 && r.expiry[0].expires.Before(now) {
		entry := heap.Pop(&r.expiry).(*replayEntry)
		delete(r.entries, entry.id)
	}
}

// size is how many requests are remembered.
func (r *replays) size(now time.Time) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	return len(r.entries)
}

// replayHeap has the entry that expires first on top.
type replayHeap []*replayEntry

func (h replayHeap) Len() int           { return len(h) }
func (h replayHeap) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }

func (h replayHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *replayHeap) Push(x any) {
	entry := x.(*replayEntry)
	entry.index = len(*h)
	*h = append(*h, entry)
}

// Pop implements heap.Interface.
func (h *replayHeap) Pop() any {
	last := len(*h) - 1
	entry := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	entry.index = -1
	return entry
}
