package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/httpin"
)

const (
	// noticeInterval is how often, at most, the log repeats a complaint that every
	// request could cause.
	noticeInterval = time.Second

	// workTimeout bounds what a request waits for on the bus: well below the time
	// that the HTTP server gives a handler.
	workTimeout = 30 * time.Second
)

// api is an instance. It implements core.Instance, core.Reconfigurer and
// http.Handler.
type api struct {
	host     core.Host
	log      *slog.Logger
	now      func() time.Time
	endpoint *httpin.Endpoint
	metrics  *metrics

	live          atomic.Pointer[live]
	reconfiguring sync.Mutex

	answers *answers
	atWork  atWork

	room          sync.Pool // of *buffers
	failureNotice rate.Sometimes

	// inside are the requests under way; working ends when the instance is stopped
	// and they had their time.
	inside  sync.WaitGroup
	working context.Context
	cancel  context.CancelFunc
}

func newAPI(raw json.RawMessage, host core.Host, now func() time.Time) (*api, error) {
	first, err := newLive(raw, nil)
	if err != nil {
		return nil, err
	}
	a := &api{
		host:          host,
		log:           host.Log(),
		now:           now,
		answers:       newAnswers(host.State(), maxAnswers),
		atWork:        atWork{keys: make(map[string]chan struct{})},
		failureNotice: rate.Sometimes{Interval: noticeInterval},
	}
	a.live.Store(first)
	if a.metrics, err = newMetrics(host.Metrics()); err != nil {
		return nil, err
	}
	handlers := make(map[string]http.Handler)
	for _, path := range first.config.paths() {
		handlers[path] = a
		handlers[strings.TrimSuffix(path, "/")] = a // or http.ServeMux would redirect
	}
	if a.endpoint, err = httpin.NewEndpoint(host, first.config.Config, handlers); err != nil {
		return nil, err
	}
	a.working, a.cancel = context.WithCancel(context.Background())
	return a, nil
}

// Start implements core.Instance.
func (a *api) Start(ctx context.Context) error {
	for _, one := range a.live.Load().apps.All() {
		if one.TimestampWindow == 0 {
			a.log.Warn("timestamps are not checked: a request that somebody saw can be sent again for ever", "app", one.ID)
		}
	}
	return a.endpoint.Start(ctx)
}

// Drain implements core.Drainer. Requests on the connections there are go on being
// published; see httpin.Endpoint.Drain.
func (a *api) Drain(ctx context.Context) error { return a.endpoint.Drain(ctx) }

// Stop implements core.Instance. Requests under way have until ctx ends; then what
// they wait for is cancelled.
func (a *api) Stop(ctx context.Context) error {
	err := a.endpoint.Stop(ctx)
	a.cancel()
	a.inside.Wait()
	return err
}

// Reconfigure implements core.Reconfigurer. What belongs to the HTTP server needs
// a new instance; everything else counts from the next request on.
func (a *api) Reconfigure(_ context.Context, raw json.RawMessage) error {
	a.reconfiguring.Lock()
	defer a.reconfiguring.Unlock()
	before := a.live.Load()
	next, err := newLive(raw, before)
	if err != nil {
		return err
	}
	was, is := &before.config, &next.config
	if is.Listen != was.Listen || is.PathPrefix != was.PathPrefix || is.Limits != was.Limits || !reflect.DeepEqual(is.TLS, was.TLS) {
		return core.ErrRestart
	}
	a.live.Store(next)
	return nil
}

// exchange is one request on its way to an answer.
type exchange struct {
	*api
	live    *live
	request *http.Request
	route   route
	buffers *buffers
	arrived time.Time

	app   *app.App
	query signature.Query
}

// buffers are what an exchange needs room for; they are used again.
type buffers struct {
	body   bytes.Buffer
	signed []byte
	events []core.Event
}

// maxKept is the largest body whose buffer is kept for further requests.
const maxKept = 64 << 10

func (a *api) borrow() *buffers {
	if b, ok := a.room.Get().(*buffers); ok {
		return b
	}
	return new(buffers)
}

func (a *api) giveBack(b *buffers) {
	if b.body.Cap() > maxKept {
		return
	}
	b.body.Reset()
	clear(b.events)
	a.room.Put(b)
}

// ServeHTTP answers one request.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.inside.Add(1)
	defer a.inside.Done()
	x := exchange{api: a, live: a.live.Load(), request: r, arrived: a.now()}
	x.buffers = a.borrow()
	defer a.giveBack(x.buffers)
	x.write(w, x.serve())
}

// serve runs a request through the checks, cheap ones first, and does what it
// asks for. It goes on when the client hangs up, so that a repeat can be told what
// became of the first.
func (x *exchange) serve() reply {
	var known bool
	if x.route, known = findRoute(x.request.URL, x.live.config.PathPrefix); !known {
		x.route.operation = opUnknown
		return reply{fault: &fault{status: http.StatusNotFound, reason: reasonPath, text: "404 NOT FOUND"}}
	}
	if method := x.route.operation.method(); x.request.Method != method {
		return reply{fault: &fault{status: http.StatusMethodNotAllowed, reason: reasonMethod, text: "405 METHOD NOT ALLOWED: use " + method, allow: method}}
	}
	ctx, cancel := context.WithTimeout(x.working, workTimeout)
	defer cancel()
	if wrong := x.check(ctx); wrong != nil {
		return reply{fault: wrong}
	}
	switch x.route.operation {
	case opPostEvent:
		return x.postEvent(ctx)
	case opPostBatch:
		return x.postBatch(ctx)
	case opPostToChannel:
		return x.postToChannel(ctx)
	case opGetChannels:
		return x.getChannels(ctx)
	case opGetChannel, opGetStats:
		return x.getChannel(ctx)
	case opGetUsers:
		return x.getUsers(ctx)
	}
	return x.terminate(ctx)
}

// check is everything that operations have in common.
func (x *exchange) check(ctx context.Context) *fault {
	if wrong := x.checkLength(); wrong != nil {
		return wrong
	}
	if wrong := x.admit(ctx); wrong != nil {
		return wrong
	}
	if wrong := x.readBody(); wrong != nil {
		return wrong
	}
	if wrong := x.checkAllowed(); wrong != nil {
		return wrong
	}
	return x.checkQuery()
}
