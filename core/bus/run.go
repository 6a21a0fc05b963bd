package bus

import "github.com/pushbridge/bridge/core"

// run carries a run of plain publications: each edge is locked once for all of
// them, and what can be said in one word is said once. It holds scratch space
// between runs.
type run struct {
	items    []Delivery
	ends     []int // ends[i] is where the items of publication i end
	outcomes []outcome
}

// outcome is what has become of one publication of the run.
type outcome struct {
	offered  int // edges that were offered something
	refused  int // edges that took nothing
	receipts []core.Receipt
	blocked  *pending // waits for an edge that blocks
}

// publish offers the publications to every edge of the lines and replies.
func (r *run) publish(l *lines, batch []Publication, first uint64, to Replier) {
	r.outcomes = append(r.outcomes[:0], make([]outcome, len(batch))...)
	for _, edge := range l.edges {
		r.prepare(edge, batch)
		edge.offerRun(r, first, to)
	}
	r.reply(first, to)
	clear(r.items) // pins no events of the last edge
	clear(r.outcomes)
}

// prepare runs the publications through the edge's kinds and mapper.
func (r *run) prepare(edge *Edge, batch []Publication) {
	r.items, r.ends = r.items[:0], r.ends[:0]
	for i := range batch {
		before := len(r.items)
		var failed []core.Receipt
		r.items, failed = edge.prepare(r.items, batch[i].Frames, nil, 0)
		r.ends = append(r.ends, len(r.items))
		if len(r.items) == before && len(failed) == 0 {
			continue
		}
		o := &r.outcomes[i]
		o.offered++
		if len(failed) > 0 {
			o.receipts = append(o.receipts, failed...)
			if len(r.items) == before {
				o.refused++
			}
		}
	}
}

// offerRun offers a run's items, publication by publication.
func (e *Edge) offerRun(r *run, first uint64, to Replier) {
	var dropped []Delivery
	held := e.refusedByTarget()
	e.mu.Lock()
	start := 0
	for i, end := range r.ends {
		items := r.items[start:end]
		start = end
		if len(items) == 0 {
			continue
		}
		o := &r.outcomes[i]
		verdict, refusal := admitted, held
		if refusal == nil {
			verdict, refusal = e.tryAdmit(items, &dropped)
		}
		switch {
		case refusal != nil:
			o.refused++
			o.receipts = append(o.receipts, e.refusals(items, refusal)...)
		case verdict == mustWait:
			if o.blocked == nil {
				o.blocked = &pending{ack: core.AckQueued, reply: Reply{To: to, Number: first + uint64(i)}, offering: true}
			}
			e.block(items, o.blocked, o.blocked.addShare(share{waiting: true}, nil))
		}
	}
	e.mu.Unlock()
	e.answerDropped(dropped)
}

// reply tells the results, runs of plain successes in one word.
func (r *run) reply(first uint64, to Replier) {
	start := 0 // of the successes not told yet
	tell := func(end int) {
		if end > start {
			to.PublicationsDone(first+uint64(start), end-start, Result{})
		}
		start = end + 1
	}
	for i := range r.outcomes {
		o := &r.outcomes[i]
		if o.blocked == nil && o.receipts == nil {
			continue
		}
		tell(i)
		result := Result{Receipts: o.receipts}
		if o.offered > 0 && o.refused == o.offered {
			result.Err = firstRefusal(o.receipts)
		}
		if o.blocked == nil {
			to.PublicationsDone(first+uint64(i), 1, result)
			continue
		}
		o.blocked.offered(result.Receipts)
	}
	tell(len(r.outcomes))
}

func firstRefusal(receipts []core.Receipt) *core.Refusal {
	for i := range receipts {
		if receipts[i].Err != nil {
			return receipts[i].Err
		}
	}
	return nil
}
