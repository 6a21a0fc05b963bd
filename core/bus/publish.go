package bus

import (
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

// Delivery is one event on its way along one edge. It is a small value.
type Delivery struct {
	Frame frame.Frame

	edge  *Edge
	pub   *pending // nil when nobody waits for the answer
	share int32    // the edge's part of pub
	event int32    // index of the event within its publication
}

// Answer answers the delivery. It never blocks. A second answer for the same
// delivery is a defect of the caller.
func (d Delivery) Answer(receipt core.Receipt) {
	counts := &d.edge.counts
	if receipt.Err != nil {
		counts.Refused.Add(1)
	} else {
		counts.Delivered.Add(1)
	}
	if d.pub != nil {
		receipt.Sink = d.edge.target.name
		receipt.Event = int(d.event)
		d.pub.answer(int(d.share), receipt)
	}
}

// inlineItems is how many items of a publication an edge is offered without an
// allocation.
const inlineItems = 4

// publish offers the publication to every edge. Nobody waits for more than
// admission, so deliveries need no way back; only if an edge makes the publisher
// wait is there something to keep track of.
func (l *lines) publish(p Publication, reply Reply) {
	var room [inlineItems]Delivery
	var result Result
	var blocked *pending
	refused, offered := 0, 0
	for _, edge := range l.edges {
		items, bytes, failed := edge.prepare(room[:0], p.Frames, nil, 0)
		if len(items) == 0 && len(failed) == 0 {
			continue
		}
		offered++
		var refusal *core.Refusal
		if len(failed) > 0 {
			result.Receipts = append(result.Receipts, failed...)
			refusal = failed[0].Err
		}
		if len(items) > 0 {
			blocked, refusal = edge.offerUntracked(items, bytes, blocked, reply)
			if refusal != nil {
				result.Receipts = append(result.Receipts, refusals(items, refusal)...)
			}
		}
		if refusal != nil {
			refused++
		}
	}
	if offered > 0 && refused == offered {
		result.Err = result.Receipts[0].Err
	}
	if blocked == nil {
		reply.send(result)
		return
	}
	blocked.receipts = result.Receipts
	blocked.offered()
}

// offerUntracked offers items that nobody waits for. If the edge makes the
// publisher wait, blocked, made at need, waits for the admission.
func (e *Edge) offerUntracked(items []Delivery, bytes int, blocked *pending, reply Reply) (*pending, *core.Refusal) {
	taken, refusal := e.offer(items, bytes, nil, 0)
	if taken || refusal != nil {
		return blocked, refusal
	}
	if blocked == nil {
		blocked = &pending{ack: core.AckQueued, reply: reply, offering: true}
	}
	share := blocked.addShare(share{waiting: true}, nil)
	taken, refusal = e.offer(items, bytes, blocked, share)
	switch {
	case refusal != nil:
		blocked.refused(share, refusal, nil)
	case taken:
		blocked.admitted(share)
	}
	return blocked, refusal
}

// publishTracked offers the publication to every edge and lets a [pending] wait
// for what its ack needs.
func (l *lines) publishTracked(p Publication, ack core.Ack, reply Reply) {
	var room [inlineItems]Delivery
	pub := &pending{ack: ack, reply: reply, offering: true}
	needIssuer := p.NeedID
	for _, edge := range l.edges {
		items, bytes, failed := edge.prepare(room[:0], p.Frames, pub, len(pub.shares))
		if len(items) == 0 && len(failed) == 0 {
			continue
		}
		s := share{unanswered: len(items), waiting: len(items) > 0}
		if needIssuer && edge.target.describe().IssuesIDs {
			s.issuer, needIssuer = true, false
		}
		index := pub.addShare(s, failed)
		if len(items) == 0 {
			continue
		}
		taken, refusal := edge.offer(items, bytes, pub, index)
		switch {
		case refusal != nil:
			pub.refused(index, refusal, refusals(items, refusal))
		case taken:
			pub.admitted(index)
		}
	}
	pub.offered()
}

// prepare runs the publication's events through the edge's kinds and mapper. It
// appends what is to be delivered to items and returns it with its size, and
// receipts for events on which the mapper failed.
func (e *Edge) prepare(items []Delivery, frames []frame.Frame, pub *pending, share int) (_ []Delivery, bytes int, failed []core.Receipt) {
	for i, f := range frames {
		if !e.kinds[f.Kind()] {
			continue
		}
		if e.options.Mapper != nil {
			mapped, keep, err := e.options.Mapper.Map(f)
			if err != nil {
				e.counts.Refused.Add(1)
				failed = append(failed, core.Receipt{Sink: e.target.name, Event: i, Err: core.AsRefusal(err)})
				continue
			}
			if !keep {
				continue
			}
			f = mapped
		}
		items = append(items, Delivery{Frame: f, edge: e, pub: pub, share: int32(share), event: int32(i)})
		bytes += f.Len()
	}
	return items, bytes, failed
}

// refusals are the receipts of items that an edge did not admit.
func refusals(items []Delivery, refusal *core.Refusal) []core.Receipt {
	receipts := make([]core.Receipt, len(items))
	for i, item := range items {
		receipts[i] = core.Receipt{Sink: item.edge.target.name, Event: int(item.event), Err: refusal}
	}
	return receipts
}
