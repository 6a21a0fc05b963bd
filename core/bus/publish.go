package bus

import (
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

// Delivery is one event on its way along one edge. It is a small value.
type Delivery struct {
	Frame frame.Frame

	edge *Edge
	// answers, if set, takes the answer instead: while it is one of several
	// copies, or an attempt of several.
	answers func(core.Receipt)
	pub     *pending // nil when nobody waits for the answer
	share   int32    // the edge's part of pub
	event   int32    // index of the event within its publication
}

// Answer answers the delivery. It never blocks. A second answer for the same
// delivery is a defect of the caller.
func (d Delivery) Answer(receipt core.Receipt) {
	if d.answers != nil {
		d.answers(receipt)
		return
	}
	counts := &d.edge.counts
	if receipt.Err != nil {
		counts.Refused.Add(1)
	} else {
		counts.Delivered.Add(1)
	}
	if d.pub != nil {
		receipt.Sink = d.edge.target.name
		receipt.Event, receipt.EventID = int(d.event), d.Frame.ID()
		d.pub.answer(int(d.share), receipt)
	}
	d.edge.answeredOne()
}

// inlineItems is how many items of a publication an edge is offered without an
// allocation.
const inlineItems = 4

// publishTracked offers the publication to every edge and lets a [pending] wait
// for what its ack needs.
func (l *lines) publishTracked(p *Publication, reply Reply) {
	var room [inlineItems]Delivery
	pub := &pending{ack: max(p.Ack, l.ack), reply: reply, offering: true}
	needIssuer := p.NeedID
	for _, edge := range l.edges {
		items, failed := edge.prepare(room[:0], p.Frames, pub, len(pub.shares))
		if len(items) == 0 && len(failed) == 0 {
			continue
		}
		s := share{unanswered: len(items), waiting: len(items) > 0}
		if needIssuer && edge.target.describe().IssuesIDs {
			s.issuer, needIssuer = true, false
		}
		index := pub.addShare(s, failed)
		if len(items) > 0 {
			edge.offer(items, pub, index)
		}
	}
	pub.offered(p.eventIDs())
}

// prepare runs the publication's events through the edge's kinds and mapper. It
// appends what is to be delivered to items and returns it, and receipts for
// events on which the mapper failed.
func (e *Edge) prepare(items []Delivery, frames []frame.Frame, pub *pending, share int) (_ []Delivery, failed []core.Receipt) {
	for i, f := range frames {
		if !e.kinds[f.Kind()] {
			continue
		}
		if e.options.Mapper != nil {
			mapped, keep, err := e.options.Mapper.Map(f)
			if err != nil {
				e.counts.Refused.Add(1)
				failed = append(failed, core.Receipt{Sink: e.target.name, Event: i, EventID: f.ID(), Err: core.AsRefusal(err)})
				continue
			}
			if !keep {
				continue
			}
			f = mapped
		}
		items = append(items, Delivery{Frame: f, edge: e, pub: pub, share: int32(share), event: int32(i)})
	}
	return items, failed
}

// refusals books and returns the receipts of items that the edge does not take.
func (e *Edge) refusals(items []Delivery, refusal *core.Refusal) []core.Receipt {
	e.counts.Refused.Add(uint64(len(items)))
	receipts := make([]core.Receipt, len(items))
	for i, item := range items {
		receipts[i] = core.Receipt{Sink: e.target.name, Event: int(item.event), EventID: item.Frame.ID(), Err: refusal}
	}
	return receipts
}

// sizeOf is the encoded size of items in bytes.
func sizeOf(items []Delivery) int {
	bytes := 0
	for i := range items {
		bytes += items[i].Frame.Len()
	}
	return bytes
}
