package webhook

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/egress"
)

// maxAnswer is how much of an answer's body is read, to use the connection again.
const maxAnswer = 64 << 10

// maxRetryAfter bounds what a receiver can ask for.
const maxRetryAfter = 24 * time.Hour

// post tries once to send events of one space and returns the receipt of each of
// them.
func (i *instance) post(events []prepared) core.Receipt {
	if i.working.Err() != nil {
		return refused(core.RefuseRetry(core.CodeNotRunning, time.Second, "the webhook was stopped"))
	}
	l := i.live.Load()
	signer, refusal := l.signers.of(events[0].space)
	if refusal != nil { // the configuration changed meanwhile
		return refused(refusal)
	}
	body := newBody(events, i.now())
	request, err := http.NewRequest(http.MethodPost, l.config.URL, bytes.NewReader(body))
	if err != nil {
		return refused(core.Refuse(core.CodeInternal, "the URL of the webhook cannot be used"))
	}
	request.Header = l.header.Clone()
	request.Header.Set(headerKey, signer.key.Key)
	request.Header.Set(headerSignature, sign(string(signer.key.Secret), body))
	began := time.Now()
	response, err := l.client.Do(i.working, request, maxAnswer)
	i.metrics.seconds.WithLabelValues(signer.app).Observe(time.Since(began).Seconds())
	if err != nil {
		refusal = failure(err)
	} else {
		refusal = i.judge(response)
	}
	i.book(signer.app, len(events), response, refusal)
	if refusal != nil {
		return refused(refusal)
	}
	return core.Accepted()
}

// judge is what an answer means; nil is success.
func (i *instance) judge(response *egress.Response) *core.Refusal {
	switch status := response.Status; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusGone:
		return core.Refuse(core.CodeGone, "the receiver answered 410 Gone: it wants no more; take the webhook out, or correct its url")
	default:
		return core.RefuseRetry(codeStatus, retryAfter(response.Header.Get("Retry-After"), i.now()), "the receiver answered %d", status)
	}
}

// retryAfter reads a Retry-After header: seconds or a date. Zero is no wish.
func retryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(date.Sub(now), 0), maxRetryAfter)
}

// failure is what a request without an answer means.
func failure(err error) *core.Refusal {
	var forbidden *egress.Forbidden
	if errors.As(err, &forbidden) {
		return core.Refuse(codeAddress, "the webhook was not sent: %v", forbidden)
	}
	refusal := core.RefuseRetry(codeNetwork, 0, "the receiver gave no answer: %v", err)
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		refusal.Code = core.CodeTimeout
	}
	var failed *egress.Error
	if errors.As(err, &failed) && failed.Sent {
		refusal.Outcome = core.OutcomeUnknown
	}
	return refusal
}

// book counts an attempt, and remembers a receiver that wants no more.
func (i *instance) book(app string, events int, response *egress.Response, refusal *core.Refusal) {
	status, result := "none", "sent"
	if response != nil {
		status = strconv.Itoa(response.Status/100) + "xx"
	}
	if refusal != nil {
		result = "failed"
		i.notice.Do(func() { i.log.Warn("a webhook was not taken", "app", app, "events", events, "error", refusal) })
	}
	i.metrics.requests.WithLabelValues(app, status).Inc()
	i.metrics.events.WithLabelValues(app, result).Add(float64(events))
	switch {
	case refusal == nil:
		i.gone.Store(false)
	case refusal.Code == core.CodeGone:
		i.gone.Store(true)
	}
}
