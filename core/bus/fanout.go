package bus

import (
	"context"
	"sync"

	"github.com/pushbridge/bridge/core"
)

// deliverTo hands a batch to every generation behind a target, and reports false
// if none took it.
func deliverTo(ctx context.Context, sinks []Sink, batch []Delivery) bool {
	if len(sinks) == 1 {
		return sinks[0].Deliver(ctx, batch) == nil
	}
	copies, answers := make([]Delivery, len(batch)), make([]copiesAnswer, len(batch))
	for i, d := range batch {
		answers[i] = copiesAnswer{delivery: d, open: len(sinks)}
		copies[i] = d
		copies[i].answers = answers[i].answer
	}
	taken := false
	for _, sink := range sinks {
		if sink.Deliver(ctx, copies) == nil {
			taken = true
		} else {
			for i := range answers {
				answers[i].forget()
			}
		}
	}
	return taken
}

// copiesAnswer makes one answer of those of several generations: the event is
// accepted if one of them accepted it. The last acceptance counts, with the
// listeners of all. If none did, the event may be tried again if one of them says
// so, and may have been delivered if one of them does.
type copiesAnswer struct {
	delivery Delivery

	mu       sync.Mutex
	open     int
	answered bool
	receipt  core.Receipt
}

func (c *copiesAnswer) answer(receipt core.Receipt) {
	c.mu.Lock()
	c.merge(receipt)
	c.open--
	c.finish()
}

// forget books that one generation did not take the event. If none did, it is
// not answered: it will be delivered again.
func (c *copiesAnswer) forget() {
	c.mu.Lock()
	c.open--
	c.finish()
}

// finish answers once every generation has; it is called with the lock held.
func (c *copiesAnswer) finish() {
	done, receipt := c.open == 0 && c.answered, c.receipt
	c.mu.Unlock()
	if done {
		c.delivery.Answer(receipt)
	}
}

func (c *copiesAnswer) merge(receipt core.Receipt) {
	before := c.receipt
	switch {
	case !c.answered:
		c.receipt, c.answered = receipt, true
		return
	case receipt.Err != nil && before.Err == nil:
		return
	case receipt.Err != nil:
		c.receipt.Err = worse(before.Err, receipt.Err)
		return
	}
	c.receipt = receipt
	if before.Err == nil && before.Receivers >= 0 && receipt.Receivers >= 0 {
		c.receipt.Receivers += before.Receivers
	}
	if receipt.ID == "" {
		c.receipt.ID = before.ID
	}
}

// worse makes one refusal of two: the one that can be retried, or the later one.
func worse(before, after *core.Refusal) *core.Refusal {
	merged := *after
	if before.Retryable && !after.Retryable {
		merged = *before
	}
	merged.Outcome = max(before.Outcome, after.Outcome)
	return &merged
}
