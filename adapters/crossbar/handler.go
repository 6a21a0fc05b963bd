package crossbar

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/pushbridge/bridge/core/kit/httpin"
)

// exchange is one request on its way to an answer.
type exchange struct {
	*pusher
	live    *live
	request *http.Request
	buffers *buffers

	from   httpin.Client
	query  query
	given  time.Time // by the parameter timestamp; zero if there is none
	sender *sender
	mac    signature // of a signed request, as computed
	topic  string
	// cause is the error behind a fault, for the log.
	cause error
}

// buffers are what an exchange needs room for; they are used again.
type buffers struct {
	body   bytes.Buffer
	data   []byte
	signed []byte
}

// maxKept is the largest buffer that is kept for further requests.
const maxKept = 64 << 10

func (p *pusher) borrow() *buffers {
	if b, ok := p.room.Get().(*buffers); ok {
		return b
	}
	return new(buffers)
}

func (p *pusher) giveBack(b *buffers) {
	if b.body.Cap() > maxKept || cap(b.data) > maxKept {
		return
	}
	b.body.Reset()
	p.room.Put(b)
}

// ServeHTTP answers one request.
func (p *pusher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{pusher: p, live: p.live.Load(), request: r}
	x.from = x.live.proxies.Client(r)
	if !p.inside.enter(x.live.config.MaxInFlight) {
		p.metrics.limited.WithLabelValues(limitInFlight).Inc()
		x.answer(w, outcome{fault: tooMany("Too many requests are under way.", 0)})
		return
	}
	defer p.inside.leave()
	x.buffers = p.borrow()
	defer p.giveBack(x.buffers)
	if r.Method == http.MethodOptions && x.checkClient() == nil {
		x.preflight(w)
		return
	}
	x.answer(w, x.serve())
}

// serve runs a request through the protocol's checks: cheap ones, and those that
// tell strangers nothing, come before the body is read.
func (x *exchange) serve() outcome {
	if wrong := x.admit(); wrong != nil {
		return outcome{fault: wrong}
	}
	if wrong := x.live.checkHeader(x.request.Header); wrong != nil {
		return outcome{fault: wrong}
	}
	if wrong := x.live.readBody(&x.buffers.body, x.request); wrong != nil {
		return outcome{fault: wrong}
	}
	if wrong := x.authenticate(); wrong != nil {
		return outcome{fault: wrong}
	}
	m, wrong := x.live.parseMessage(x.buffers.body.Bytes())
	if wrong != nil {
		return outcome{fault: wrong}
	}
	x.topic = m.topic
	if x.live.signed() {
		return x.publishOnce(&m)
	}
	return x.publish(&m)
}

// admit looks at the request without its body.
func (x *exchange) admit() *fault {
	if wrong := x.checkClient(); wrong != nil {
		return wrong
	}
	if method := x.request.Method; method != http.MethodPost && method != http.MethodPut {
		return &fault{code: codeMethod, status: http.StatusMethodNotAllowed,
			text: "Method not accepted by the REST bridge. (" + clip(method) + " not allowed, only POST, PUT)"}
	}
	if wrong := x.live.checkOrigin(x.request.Header, x.from); wrong != nil {
		return wrong
	}
	return x.checkPace()
}

// checkClient looks at where the request comes from.
func (x *exchange) checkClient() *fault {
	if len(x.live.allowed) > 0 && !x.live.allowed.Contain(x.from.Addr) {
		return &fault{code: codeAddress, status: http.StatusBadRequest, semantic: http.StatusForbidden,
			text: "Request denied based on IP address."}
	}
	if x.live.config.RequireTLS && x.from.Scheme != "https" {
		return &fault{code: codeMalformed, status: http.StatusBadRequest, semantic: http.StatusForbidden,
			text: "Malformed request to the REST bridge."}
	}
	return nil
}

// checkPace looks whether the client's address has failed too often where
// requests are signed, or may send another one where they are not.
func (x *exchange) checkPace() *fault {
	address := client{address: subnet(x.from.Addr)}
	if x.live.signed() {
		if wait := x.failures.look(address, x.now()); wait > 0 {
			x.metrics.limited.WithLabelValues(limitFailures).Inc()
			return tooMany("Too many wrong signatures from this address.", wait)
		}
		return nil
	}
	x.sender = x.live.endpoint
	return x.takeToken(address, limitAddress)
}

// takeToken counts the request against rate_limit.
func (x *exchange) takeToken(c client, limit string) *fault {
	if x.live.rates == nil {
		return nil
	}
	wait := x.live.rates.take(c, x.now())
	if wait == 0 {
		return nil
	}
	x.metrics.limited.WithLabelValues(limit).Inc()
	return tooMany("Too many requests.", wait)
}

// authenticate checks the parameters and, where requests are signed, finds out who
// sent this one.
func (x *exchange) authenticate() *fault {
	x.query = parseQuery(x.request.URL.RawQuery)
	var wrong *fault
	x.given, wrong = x.query.check(x.live.signed(), x.now(), x.live.timeLimit)
	if wrong != nil || !x.live.signed() {
		return wrong
	}
	return x.checkSignature()
}

// checkSignature finds the sender of a signed request and counts it.
func (x *exchange) checkSignature() *fault {
	body := x.buffers.body.Bytes()
	var result verified
	result, x.buffers.signed = x.live.keys.verify(x.buffers.signed, x.query.parameters(), x.query.signature.value, body)
	x.sender, x.mac = result.sender, result.mac
	if result.ok {
		return x.takeToken(client{key: x.sender.name}, limitKey)
	}
	x.failures.take(client{address: subnet(x.from.Addr)}, x.now())
	if x.live.config.Debug {
		x.explain(result, body)
	}
	if result.sender == nil {
		return &fault{code: codeUnknownKey, status: http.StatusUnauthorized, text: "REST bridge signature key not valid."}
	}
	return &fault{code: codeSignature, status: http.StatusUnauthorized, text: "REST bridge signature secret not valid."}
}

// publishOnce publishes a signed request unless it was seen before.
func (x *exchange) publishOnce(m *message) outcome {
	entry, seen := x.replays.admit(replayID{x.sender.name, x.mac}, x.now(), x.expires(), x.live.config.ReplayMax, x.live.idempotent)
	switch seen {
	case full:
		x.metrics.replayFull.Inc()
		x.fullNotice.Do(func() {
			x.log.Warn("the replay cache is full; new signed requests are refused until entries expire: raise replay_max",
				"replay_max", x.live.config.ReplayMax)
		})
		f := unavailable(0)
		f.code = codeReplayFull
		return outcome{fault: f}
	case repeated:
		return x.repeat(entry)
	}
	result := x.publishInOrder(m)
	x.replays.settle(entry, result)
	return result
}

// expires is how long a replay of the request could pass the check of its
// timestamp.
func (x *exchange) expires() time.Time {
	if x.live.timeLimit == 0 {
		return x.now().Add(x.live.config.ReplayTTL.Std())
	}
	return x.given.Add(x.live.timeLimit + replayGrace)
}

// repeat answers a request that was seen before.
func (x *exchange) repeat(first *replayEntry) outcome {
	if !x.live.idempotent || first.done == nil {
		return outcome{fault: &fault{code: codeReplayed, status: http.StatusUnauthorized,
			text: "REST bridge signature was invalid (request replayed)."}}
	}
	ctx, cancel := context.WithTimeout(x.working, x.live.config.PublishTimeout.Std())
	defer cancel()
	select {
	case <-first.done:
		return first.outcome
	case <-ctx.Done():
		return outcome{fault: noAcknowledgement()}
	}
}

// publishInOrder publishes, under strict_seq only if the key has not used the seq.
func (x *exchange) publishInOrder(m *message) outcome {
	if !x.live.config.StrictSeq {
		return x.publish(m)
	}
	seq := x.query.seq.value
	if !x.sequences.use(x.sender.name, seq) {
		return outcome{fault: &fault{code: codeSequence, status: http.StatusUnauthorized,
			text: "REST bridge signature was invalid (sequence number '" + clip(seq) + "' was used before or is too far behind)."}}
	}
	result := x.publish(m)
	if result.again {
		x.sequences.giveBack(x.sender.name, seq)
	}
	return result
}
