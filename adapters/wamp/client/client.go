package client

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/metrics"
	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// Options of a Client.
type Options struct {
	Dial  peer.DialOptions
	Peer  peer.Options // Codec is filled in from Dial
	Hello session.Hello
	// ConnectTimeout bounds connecting and joining together; AckTimeout the
	// router's answer to a publication.
	ConnectTimeout, AckTimeout time.Duration
	Backoff                    Backoff
	// QueueItems, QueueBytes and TTL bound what waits for a session.
	QueueItems, QueueBytes int
	TTL                    time.Duration
	// Resend sends again what was not answered when the session was lost.
	Resend bool
	// Subscriptions are made in each session.
	Subscriptions []Subscription

	Log     *slog.Logger
	Metrics *metrics.Metrics
}

// Subscription is a topic and what takes its events. Handler must not block.
type Subscription struct {
	Topic   wamp.URI
	Match   string
	Handler func(*wamp.Event)
}

// Client keeps a session. Its methods may be called from any goroutine.
type Client struct {
	options Options
	queue   *queue
	stop    context.CancelFunc
	ctx     context.Context // lives until Stop is through with waiting
	running sync.WaitGroup

	mu      sync.Mutex
	session *session.Session // nil while there is none
	failure error            // why there is none
	pending int              // publications without an answer
	idle    chan struct{}    // closed when pending falls to 0, if somebody waits
}

// New makes a client that does nothing before Start. The caller calls Stop in
// any case.
func New(options Options) *Client {
	options.Peer.Codec = options.Dial.Codec
	c := &Client{
		options: options, queue: newQueue(options.QueueItems, options.QueueBytes),
		failure: errors.New("it has not connected yet"),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	return c
}

// Start begins to connect and returns at once.
func (c *Client) Start() {
	c.running.Go(c.run)
	c.running.Go(c.sweep)
}

// Check returns nil while the session stands, else the reason why it does not.
func (c *Client) Check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != nil {
		return nil
	}
	return c.failure
}

// Publish hands a publication over; size is what it counts in the queue, in
// bytes. It waits for room while there is a session, and returns ErrFull,
// ErrStopped or ctx's error if there is none to be had. If it returns nil,
// answer is called once, later, and must not block: with an outcome, or with
// ErrExpired or ErrStopped if it was certainly not sent.
func (c *Client) Publish(ctx context.Context, msg *wamp.Publish, size int, answer func(session.Outcome, error)) error {
	c.opened()
	err := c.queue.put(ctx, item{
		msg: msg, size: size, expires: time.Now().Add(c.options.TTL),
		answer: func(outcome session.Outcome, err error) {
			answer(outcome, err)
			c.answered()
		},
	})
	if err != nil {
		c.answered()
	}
	return err
}

// ErrExpired is the answer to a publication that waited too long for a session.
var ErrExpired = errors.New("the router could not be reached in time")

func (c *Client) opened() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending++
}

func (c *Client) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending--; c.pending == 0 && c.idle != nil {
		close(c.idle)
		c.idle = nil
	}
}

// goodbyePatience is how long the router may take to answer GOODBYE.
const goodbyePatience = 2 * time.Second

// Stop takes no more publications, waits until all are answered or ctx ends, and
// leaves. It is safe to call twice and without Start.
func (c *Client) Stop(ctx context.Context) {
	c.queue.close()
	select {
	case <-c.whenIdle():
	case <-ctx.Done():
	}
	c.stop()
	c.running.Wait()
	for _, it := range c.queue.rest() {
		it.answer(session.Outcome{}, ErrStopped)
	}
}

// whenIdle is closed when every publication is answered.
func (c *Client) whenIdle() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == 0 {
		idle := make(chan struct{})
		close(idle)
		return idle
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	return c.idle
}

// run connects and serves until the client is stopped.
func (c *Client) run() {
	waits := c.options.Backoff.start()
	for {
		began := time.Now()
		s, p, err := c.join()
		if err == nil {
			err = c.serve(s)
			<-p.Finished()
			if time.Since(began) >= steady {
				waits = c.options.Backoff.start()
			}
		}
		if c.ctx.Err() != nil {
			return
		}
		c.failed(err, s != nil)
		if !waits.sleep(c.ctx, isConfiguration(err)) {
			return
		}
	}
}

// serve publishes what comes, until the session is over, and returns why it is.
func (c *Client) serve(s *session.Session) error {
	c.begin(s)
	var unsent []item
	lost := &lostItems{}
	for {
		it, ok := c.queue.take(c.ctx, s.Done())
		if !ok {
			break
		}
		if err := s.Publish(c.ctx, it.msg, c.outcome(it, lost)); err != nil {
			unsent = []item{it}
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), goodbyePatience)
	defer cancel()
	s.Close(ctx, wamp.CloseRealm)
	c.end()
	c.queue.putBack(append(lost.all(), unsent...))
	return s.Err()
}

// outcome is what becomes of an item that was sent.
func (c *Client) outcome(it item, lost *lostItems) func(session.Outcome) {
	return func(outcome session.Outcome) {
		if outcome.Lost != nil && outcome.Lost != session.ErrNoAnswer && c.options.Resend && c.ctx.Err() == nil {
			lost.add(it)
			return
		}
		it.answer(outcome, nil)
	}
}

// lostItems are those that a lost session has not answered, in their order.
type lostItems struct {
	mu    sync.Mutex
	items []item
}

func (l *lostItems) add(it item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, it)
}

func (l *lostItems) all() []item {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.items
}

// begin notes that there is a session.
func (c *Client) begin(s *session.Session) {
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	c.queue.setJoined(true)
	c.options.Metrics.Connected.Set(1)
	c.options.Log.Info("joined the outside router", "url", c.options.Dial.URL, "realm", c.options.Hello.Realm,
		"session", uint64(s.ID), "authid", s.Welcome["authid"], "authrole", s.Welcome["authrole"])
}

// end notes that there is none any more.
func (c *Client) end() {
	c.mu.Lock()
	c.session = nil
	c.mu.Unlock()
	c.queue.setJoined(false)
	c.options.Metrics.Connected.Set(0)
}

// failed notes why there is no session. What is the same as before is not worth
// a line, unless there was one.
func (c *Client) failed(err error, lost bool) {
	c.mu.Lock()
	same := c.failure.Error() == err.Error()
	c.failure = err
	c.mu.Unlock()
	if same && !lost {
		return
	}
	level := slog.LevelWarn
	if isConfiguration(err) {
		level = slog.LevelError
	}
	c.options.Log.Log(c.ctx, level, "no session with the outside router",
		"url", c.options.Dial.URL, "realm", c.options.Hello.Realm, "error", err)
}

// sweep gives up what has waited too long: in the queue for a session, in the
// session for an answer.
func (c *Client) sweep() {
	ticker := time.NewTicker(max(min(time.Second, c.options.AckTimeout/4, c.options.TTL/4), 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case now := <-ticker.C:
			for _, it := range c.queue.expired(now) {
				c.options.Metrics.Expired.Inc()
				it.answer(session.Outcome{}, ErrExpired)
			}
			c.mu.Lock()
			s := c.session
			c.mu.Unlock()
			if s != nil {
				s.Expire(now.Add(-c.options.AckTimeout))
			}
		case <-c.ctx.Done():
			return
		}
	}
}
