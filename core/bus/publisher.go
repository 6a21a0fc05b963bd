package bus

import (
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/frame"
)

// Publication is what a source hands over in one piece: its events as frames.
// The slice is the caller's again when Publish returns.
type Publication struct {
	Frames []frame.Frame
	Ack    core.Ack
	NeedID bool
	// EventIDs is as in core.Publication.
	EventIDs bool
	// Refusal, if set, is the publication's result: whoever read it found it
	// malformed.
	Refusal *core.Refusal
}

// Replier takes the results of publications.
type Replier interface {
	// PublicationsDone says that count publications, numbered from first on,
	// have this result. It is called once for each publication, from any
	// goroutine, and must not block. A result with receipts or an error is one
	// publication's.
	PublicationsDone(first uint64, count int, result Result)
}

// Publisher is how one source publishes. Its methods may be called from any
// goroutine; publications keep the order of the calls.
type Publisher struct {
	bus    *Bus
	source string

	mu  sync.Mutex
	run run // scratch
}

// Publisher returns a publisher for the named source, which need not have a
// route.
func (b *Bus) Publisher(source string) *Publisher { return &Publisher{bus: b, source: source} }

// Publish offers publications to the edges of the source's routes. It never
// waits: results go to reply, those numbered from first on, before it returns or
// later. arrived is the time of events that have none.
func (p *Publisher) Publish(batch []Publication, arrived time.Time, first uint64, to Replier) {
	p.mu.Lock()
	defer p.mu.Unlock()
	table := p.bus.enter()
	defer table.leave()
	lines := table.sources[p.source]
	if lines == nil {
		p.publishNowhere(batch, arrived, first, to)
		return
	}
	p.bus.stamp(p.source, batch, arrived)
	for start := 0; start < len(batch); {
		if end := start + lines.plain(batch[start:]); end > start {
			p.run.publish(lines, batch[start:end], first+uint64(start), to)
			start = end
			continue
		}
		reply := Reply{To: to, Number: first + uint64(start)}
		if one := &batch[start]; one.Refusal != nil {
			reply.send(Result{Err: one.Refusal})
		} else {
			lines.publishTracked(one, reply)
		}
		start++
	}
}

// publishNowhere is for a source without routes: whatever is well-formed is
// accepted.
func (p *Publisher) publishNowhere(batch []Publication, arrived time.Time, first uint64, to Replier) {
	for i := range batch {
		one := &batch[i]
		if one.EventIDs {
			p.bus.stamp(p.source, batch[i:i+1], arrived)
		}
		to.PublicationsDone(first+uint64(i), 1, Result{Receipts: one.eventIDs(), Err: one.Refusal})
	}
}

// eventIDs are receipts with the ids of the stamped events, if they are wanted.
func (p *Publication) eventIDs() []core.Receipt {
	if !p.EventIDs || p.Refusal != nil {
		return nil
	}
	receipts := make([]core.Receipt, len(p.Frames))
	for i, f := range p.Frames {
		receipts[i] = core.Receipt{Event: i, EventID: f.ID(), Receivers: core.ReceiversUnknown}
	}
	return receipts
}

// plain counts the publications at the front of which nobody waits for more than
// admission.
func (l *lines) plain(batch []Publication) int {
	for i := range batch {
		if p := &batch[i]; p.Refusal != nil || p.NeedID || p.EventIDs || max(p.Ack, l.ack) >= core.AckFirst {
			return i
		}
	}
	return len(batch)
}

// Reply is where the result of one publication goes.
type Reply struct {
	To     Replier
	Number uint64
}

func (r Reply) send(result Result) { r.To.PublicationsDone(r.Number, 1, result) }
