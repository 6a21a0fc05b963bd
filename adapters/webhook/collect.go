package webhook

import (
	"context"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
)

// collector is a core.Sink that puts the events of an app together. Each app with
// something to send has a goroutine, which has one request under way at a time:
// so the order of every channel is kept. The goroutines end when nothing waits.
type collector struct {
	instance *instance
	rules    batching
	// places is a semaphore: as many tokens as requests may be under way.
	places chan struct{}

	mu     sync.Mutex
	spaces map[string]*collection
}

// collection is what waits for one app.
type collection struct {
	waiting []collected
	bytes   int
	full    chan struct{} // capacity 1: there is enough for a request
}

type collected struct {
	prepared
	batch core.Batch
	index int
}

func newCollector(i *instance, rules batching, concurrency int) *collector {
	return &collector{
		instance: i, rules: rules, places: make(chan struct{}, concurrency), spaces: make(map[string]*collection),
	}
}

// Deliver implements core.Sink. What waits is bounded by what may be unanswered.
func (c *collector) Deliver(_ context.Context, batch core.Batch) error {
	l := c.instance.live.Load()
	for n := range batch.Events {
		p, receipt, post := c.instance.prepare(l, &batch.Events[n])
		if !post {
			batch.Answer(n, receipt)
			continue
		}
		c.add(collected{prepared: p, batch: batch, index: n})
	}
	return nil
}

func (c *collector) add(e collected) {
	c.mu.Lock()
	defer c.mu.Unlock()
	space := c.spaces[e.space]
	if space == nil {
		space = &collection{full: make(chan struct{}, 1)}
		c.spaces[e.space] = space
		go c.run(e.space, space)
	}
	space.waiting = append(space.waiting, e)
	space.bytes += len(e.json)
	if c.enough(space) {
		select {
		case space.full <- struct{}{}:
		default:
		}
	}
}

func (c *collector) enough(space *collection) bool {
	return len(space.waiting) >= c.rules.Events || space.bytes >= int(c.rules.Bytes)
}

// run sends what is collected for an app until nothing waits.
func (c *collector) run(name string, space *collection) {
	for {
		window := time.NewTimer(c.rules.Window.Std())
		select {
		case <-window.C:
		case <-space.full:
		case <-c.instance.working.Done():
		}
		window.Stop()
		events := c.take(name, space)
		if events == nil {
			return
		}
		c.send(events)
	}
}

// take takes what fits into one request, or ends the collection if nothing waits.
func (c *collector) take(name string, space *collection) []collected {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(space.waiting) == 0 {
		delete(c.spaces, name)
		return nil
	}
	n, bytes := 0, 0
	for n < len(space.waiting) && n < c.rules.Events {
		size := len(space.waiting[n].json)
		if n > 0 && bytes+size > int(c.rules.Bytes) {
			break
		}
		bytes += size
		n++
	}
	events := space.waiting[:n:n]
	space.waiting = space.waiting[n:]
	space.bytes -= bytes
	if c.enough(space) {
		select {
		case space.full <- struct{}{}:
		default:
		}
	}
	return events
}

func (c *collector) send(events []collected) {
	c.places <- struct{}{}
	defer func() { <-c.places }()
	elements := make([]prepared, len(events))
	for n, e := range events {
		elements[n] = e.prepared
	}
	receipt := c.instance.post(elements)
	for _, e := range events {
		e.batch.Answer(e.index, receipt)
	}
}
