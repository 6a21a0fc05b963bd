package wamp

import (
	"fmt"
	"strconv"
	"sync"
	"time"

	nexus "github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/session"
	"github.com/pushbridge/bridge/core"
)

// receiptOf is what is said of an event after its publication.
func receiptOf(outcome session.Outcome) core.Receipt {
	switch {
	case outcome.Lost != nil:
		return core.Receipt{Receivers: core.ReceiversUnknown, Err: &core.Refusal{
			Code: core.CodeTimeout, Message: fmt.Sprintf("%v; it may have published the event", outcome.Lost),
			Retryable: true, Outcome: core.OutcomeUnknown,
		}}
	case outcome.Refused != nil:
		return core.Receipt{
			Receivers: core.ReceiversUnknown,
			Detail:    errorDetail(outcome.Refused.Arguments, outcome.Refused.ArgumentsKw),
			Err:       core.Refuse(string(outcome.Refused.Error), "the WAMP router refused the publication"),
		}
	}
	return core.Receipt{ID: publicationID(outcome.Publication), Receivers: core.ReceiversUnknown}
}

// nobodyReceipt is for an event that is for nobody: it is accepted, with an id
// as if it had been published.
func nobodyReceipt() core.Receipt {
	return core.Receipt{ID: publicationID(nexus.GlobalID()), Receivers: 0}
}

func publicationID(id nexus.ID) string { return strconv.FormatUint(uint64(id), 10) }

// refusedReceipt is for an event that was not published. A refusal in WAMP's
// terms says why in WAMP's form too.
func refusedReceipt(refusal *core.Refusal) core.Receipt {
	receipt := core.Receipt{Receivers: core.ReceiversUnknown, Err: refusal}
	if refusal.Code == string(nexus.ErrInvalidURI) || refusal.Code == string(nexus.ErrNotAuthorized) {
		receipt.Detail = errorDetail(nexus.List{refusal.Message}, nil)
	}
	return receipt
}

// delivery is one event on its way, as one or several publications. The first
// receipt that refuses is the event's, else the first.
type delivery struct {
	batch   core.Batch
	index   int
	began   time.Time
	realm   string
	metrics *metrics.Metrics

	mu      sync.Mutex
	open    int
	receipt *core.Receipt
}

// done takes the receipt of one publication.
func (d *delivery) done(receipt core.Receipt) {
	d.mu.Lock()
	if d.receipt == nil || d.receipt.Err == nil && receipt.Err != nil {
		d.receipt = &receipt
	}
	d.open--
	last := d.open == 0
	d.mu.Unlock()
	if !last {
		return
	}
	result := "published"
	if d.receipt.Err != nil {
		result = "refused"
	} else {
		d.metrics.Latency.WithLabelValues(d.realm).Observe(time.Since(d.began).Seconds())
	}
	d.metrics.Publishes.WithLabelValues(d.realm, result).Inc()
	d.batch.Answer(d.index, *d.receipt)
}
