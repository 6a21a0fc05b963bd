package crossbar

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pushbridge/bridge/core"
)

// outcome is what became of a request: an id, or a fault.
type outcome struct {
	id    uint64
	event string // the event's id on the bus, where it is known
	fault *fault
	// again says that certainly nothing was published, and that the very same
	// request may succeed later.
	again bool
}

// publish publishes a checked message, under the endpoint's timeout. It goes on
// when the client hangs up, so that a repeat can be told what became of the
// first.
func (x *exchange) publish(m *message) outcome {
	ctx, cancel := context.WithTimeout(x.working, x.live.config.PublishTimeout.Std())
	defer cancel()
	if refused := x.mayPublish(ctx, m.topic); refused != nil {
		return *refused
	}
	started := time.Now()
	receipts, err := x.host.Publish(ctx, core.Publication{Events: []core.Event{x.event(m)}, NeedID: true})
	x.metrics.latency.Observe(time.Since(started).Seconds())
	if err != nil {
		return x.failed(receipts, err)
	}
	return outcome{id: publicationID(receipts), event: eventID(receipts)}
}

// mayPublish asks, in this order, whether the topic is reserved, whether it is
// one of the key's, and whether the role may publish there.
func (x *exchange) mayPublish(ctx context.Context, topic string) *outcome {
	if reserved(topic) {
		return &outcome{fault: x.live.wampFault(errorInvalidURI, sentences("topics under wamp. and bridge. are reserved"), nil)}
	}
	if !x.sender.mayUse(topic) {
		return &outcome{fault: x.live.wampFault(errorNotAuthorized, sentences("this key may not publish on this topic"), nil)}
	}
	denied, err := x.permissions.ask(ctx, permissionID{x.live.config.Realm, topic, x.sender.role}, x.now())
	if err != nil {
		return &outcome{again: true, fault: x.unanswered(err)}
	}
	if denied == nil {
		return nil
	}
	return &outcome{fault: x.live.wampFault(denied.Error, denied.Args, denied.Kwargs)}
}

// unanswered is the answer when nobody could say who may publish. Nothing was
// published, whatever the reason.
func (x *exchange) unanswered(err error) *fault {
	x.cause = err
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return unavailable(0)
	}
	if refusal := core.AsRefusal(err); refusal.Code != core.CodeInternal {
		return unavailable(refusal.After)
	}
	return serverFault(codeInternal, http.StatusInternalServerError, errorRuntime, "the event could not be published; the log of the bridge says why", 0)
}

// event is the message as an event of the bus. Its Data and Meta are only good
// until the request is over.
func (x *exchange) event(m *message) core.Event {
	x.buffers.data = m.appendData(x.buffers.data[:0])
	return core.Event{
		Kind:   core.KindMessage,
		Space:  x.live.config.Realm,
		Topic:  m.topic,
		Time:   eventTime(x.given),
		Type:   core.TypeWAMP,
		Data:   x.buffers.data,
		Only:   m.only,
		Except: m.except,
		Meta:   m.meta(x.sender),
	}
}

// meta are the attributes of the event.
func (m *message) meta(s *sender) map[string]string {
	if !m.retain && m.forwardFor == "" {
		return s.meta
	}
	meta := map[string]string{metaRole: s.role}
	if m.retain {
		meta[metaRetain] = "true"
	}
	if m.forwardFor != "" {
		meta[metaForwardFor] = m.forwardFor
	}
	return meta
}

// Events travel with their time in nanoseconds, which reaches over these years.
const firstYear, lastYear = 1678, 2261

// eventTime is the client's time, or the zero Time, which means arrival, if it
// gave none that an event can carry.
func eventTime(given time.Time) time.Time {
	if year := given.Year(); year < firstYear || year > lastYear {
		return time.Time{}
	}
	return given
}

// publicationID is the id that a sink gave the event, else one of our own.
func publicationID(receipts []core.Receipt) uint64 {
	for _, receipt := range receipts {
		if receipt.Err != nil || receipt.ID == "" {
			continue
		}
		if id, err := strconv.ParseUint(receipt.ID, 10, 64); err == nil && 1 <= id && id <= maxID {
			return id
		}
	}
	var random [8]byte
	rand.Read(random[:]) // it never fails
	return binary.NativeEndian.Uint64(random[:])%maxID + 1
}

// eventID is the id by which the sinks know the event; it is in every receipt.
func eventID(receipts []core.Receipt) string {
	if len(receipts) == 0 {
		return ""
	}
	return receipts[0].EventID
}

// failed is the outcome of a publication that was not acknowledged.
func (x *exchange) failed(receipts []core.Receipt, err error) outcome {
	x.cause = err
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return outcome{fault: noAcknowledgement()}
	}
	refusal := core.AsRefusal(err)
	result := outcome{fault: x.refused(refusal, receipts)}
	result.again = result.fault.status >= http.StatusInternalServerError &&
		refusal.Outcome == core.OutcomeNotDone && !anyAccepted(receipts)
	return result
}

// refused turns a refusal by the bus or a sink into an answer.
func (x *exchange) refused(refusal *core.Refusal, receipts []core.Receipt) *fault {
	switch {
	case strings.HasPrefix(refusal.Code, "wamp.error."):
		args, kwargs := wampDetail(refusal.Code, receipts)
		return x.live.wampFault(refusal.Code, args, kwargs)
	case refusal.Code == core.CodeTimeout && refusal.Outcome == core.OutcomeUnknown:
		return noAcknowledgement()
	case refusal.Retryable, refusal.Code == core.CodeNotRunning, refusal.Code == core.CodeQueueFull,
		refusal.Code == core.CodeDropped, refusal.Code == core.CodeGone, refusal.Code == core.CodeTimeout:
		return unavailable(refusal.After)
	case refusal.Outcome == core.OutcomeUnknown, refusal.Code == core.CodeInternal, refusal.Code == core.CodeSpaceUnknown:
		return serverFault(codeInternal, http.StatusInternalServerError, errorRuntime, "the event could not be published; the log of the bridge says why", 0)
	case refusal.Code == core.CodeTooLarge:
		return &fault{code: codeTooLong, status: http.StatusRequestEntityTooLarge, text: refusal.Error()}
	}
	// What is left says something about this event: data, audience or topic that
	// no output can take.
	return &fault{code: codeRefused, status: http.StatusBadRequest, semantic: http.StatusUnprocessableEntity, text: refusal.Error()}
}

// wampDetail finds the arguments of a WAMP error.
func wampDetail(uri string, receipts []core.Receipt) (args, kwargs json.RawMessage) {
	for _, receipt := range receipts {
		if receipt.Err == nil || receipt.Err.Code != uri {
			continue
		}
		var detail struct{ Args, Kwargs json.RawMessage }
		if json.Unmarshal(receipt.Detail, &detail) == nil {
			return detail.Args, detail.Kwargs
		}
	}
	return nil, nil
}

func anyAccepted(receipts []core.Receipt) bool {
	for _, receipt := range receipts {
		if receipt.Err == nil {
			return true
		}
	}
	return false
}

func noAcknowledgement() *fault {
	return serverFault(codeTimeout, http.StatusGatewayTimeout, errorTimeout,
		"no acknowledgement came in time; the event may have been published", 0)
}

func unavailable(after time.Duration) *fault {
	return serverFault(codeUnavailable, http.StatusServiceUnavailable, errorRuntime,
		"the event could not be published now; try again later", max(after, time.Second))
}
