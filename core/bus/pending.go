package bus

import (
	"sync"

	"github.com/pushbridge/bridge/core"
)

// Result is what becomes of a publication.
type Result struct {
	// Receipts that the publication's Ack waited for, or the refusals that are
	// known; nil when every edge simply took everything.
	Receipts []core.Receipt
	// Err is nil when the Ack, and NeedID, were met.
	Err *core.Refusal
}

// pending collects the answers of one publication that waits for them. Its
// deliveries point to it.
type pending struct {
	ack   core.Ack
	reply Reply

	mu       sync.Mutex
	offering bool // edges are still being offered their shares
	finished bool
	shares   []share
	receipts []core.Receipt
}

// share is one edge's part of a publication.
type share struct {
	unanswered int           // deliveries without a receipt
	waiting    bool          // the edge has not admitted it yet (OverflowBlock)
	refusal    *core.Refusal // the first
	// issuer marks the share whose id the publication waits for.
	issuer bool
}

// addShare books one more edge's part, and receipts for events on which its
// mapper failed, and returns its index.
func (p *pending) addShare(s share, failed []core.Receipt) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(failed) > 0 {
		s.refusal = failed[0].Err
		p.receipts = append(p.receipts, failed...)
	}
	p.shares = append(p.shares, s)
	return len(p.shares) - 1
}

// answer books the receipt of a delivery.
func (p *pending) answer(shareIndex int, receipt core.Receipt) {
	p.mu.Lock()
	s := &p.shares[shareIndex]
	s.unanswered--
	if receipt.Err != nil && s.refusal == nil {
		s.refusal = receipt.Err
	}
	if !p.finished {
		p.receipts = append(p.receipts, receipt)
	}
	p.finish()
}

// admitted books that the edge has the share in its queue.
func (p *pending) admitted(shareIndex int) {
	p.mu.Lock()
	p.shares[shareIndex].waiting = false
	p.finish()
}

// refused books that the edge did not take the share.
func (p *pending) refused(shareIndex int, refusal *core.Refusal, receipts []core.Receipt) {
	p.mu.Lock()
	s := &p.shares[shareIndex]
	s.unanswered, s.waiting = 0, false
	s.refusal = refusal
	p.receipts = append(p.receipts, receipts...)
	p.finish()
}

// offered books that every edge has been offered its share, and receipts that
// are known already.
func (p *pending) offered(receipts []core.Receipt) {
	p.mu.Lock()
	p.offering = false
	p.receipts = append(p.receipts, receipts...)
	p.finish()
}

// finish sends the reply, once, if nothing more is waited for. It is called with the
// lock held and releases it: the reply goes out without it.
func (p *pending) finish() {
	if p.offering || p.finished || !p.met() {
		p.mu.Unlock()
		return
	}
	p.finished = true
	result := Result{Receipts: p.receipts, Err: p.verdict()}
	p.mu.Unlock()
	p.reply.send(result)
}

// met reports whether what the publication waits for has happened, or cannot
// happen any more.
func (p *pending) met() bool {
	open, first := 0, false
	for i := range p.shares {
		s := &p.shares[i]
		waits := s.waiting || s.unanswered > 0
		if s.waiting || s.issuer && waits {
			return false
		}
		if waits {
			open++
		} else if s.refusal == nil {
			first = true
		}
	}
	switch p.ack {
	case core.AckAll:
		return open == 0
	case core.AckFirst:
		return first || open == 0
	default:
		return true
	}
}

// verdict is the error of the result: nil if the Ack and NeedID are met.
func (p *pending) verdict() *core.Refusal {
	var firstRefusal *core.Refusal
	accepted := len(p.shares) == 0
	for i := range p.shares {
		s := &p.shares[i]
		if s.issuer && s.refusal != nil {
			return s.refusal
		}
		if s.refusal == nil && (p.ack < core.AckFirst || s.unanswered == 0) {
			accepted = true
		}
		if s.refusal != nil && firstRefusal == nil {
			firstRefusal = s.refusal
		}
	}
	if p.ack == core.AckAll || !accepted {
		return firstRefusal
	}
	return nil
}
