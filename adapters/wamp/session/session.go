package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// Peer is a transport to a router.
type Peer interface {
	wamp.Peer
	// Done is closed when the transport is lost.
	Done() <-chan struct{}
}

// Outcome is what is known of a publication.
type Outcome struct {
	// Publication is its id, if the router took it.
	Publication wamp.ID
	// Refused is the router's ERROR, if it did not.
	Refused *wamp.Error
	// Lost is set when there will be no answer: the session ended, or the
	// answer took too long. The event may have been delivered.
	Lost error
}

// Window is how many requests may be unanswered. The router's queue towards a
// session is larger, so no answer is lost in it.
const Window = 1024

// Session is a joined session. Its methods may be called from any goroutine.
type Session struct {
	// ID is the session's id.
	ID wamp.ID
	// Welcome is what the router said on joining: authid, authrole, roles.
	Welcome wamp.Dict

	peer   Peer
	window chan struct{} // holds a token for each unanswered request

	write   sync.Mutex // held while a request is numbered and written: numbers are in order
	closed  bool       // under write: nothing may be written any more
	counter wamp.IDGen // under write

	mu       sync.Mutex
	requests map[wamp.ID]*request
	handlers map[wamp.ID]func(*wamp.Event) // by subscription
	ended    error                         // why the session is over, once it is

	ending sync.Once
	quit   chan struct{} // closed when the session begins to end
	done   chan struct{} // closed when nothing of it runs any more
}

// request waits for an answer.
type request struct {
	since   time.Time
	answer  func(Outcome)           // of a publication
	handler func(*wamp.Event)       // of a subscription
	joined  chan<- subscribeOutcome // of a subscription
}

type subscribeOutcome struct {
	id  wamp.ID
	err error
}

// Done is closed when the session is over.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err says why the session is over; nil while it is not.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// ErrClosed is the end of a session that was closed from this side.
var ErrClosed = errors.New("the session was closed")

// ErrLost is the end of a session whose transport broke.
var ErrLost = errors.New("the connection to the router was lost")

// ErrNoAnswer is the outcome of a publication that the router did not answer in
// time.
var ErrNoAnswer = errors.New("the router did not answer in time")

// Publish sends an acknowledged publication; msg is the router's afterwards. It
// waits until there is a place among the unanswered requests. If it returns nil,
// answer is called once, later, from another goroutine, and must not block; else
// nothing was sent.
func (s *Session) Publish(ctx context.Context, msg *wamp.Publish, answer func(Outcome)) error {
	select {
	case s.window <- struct{}{}:
	case <-s.done:
		return s.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := s.request(&request{since: time.Now(), answer: answer}, func(id wamp.ID) wamp.Message {
		msg.Request = id
		return msg
	})
	if err != nil {
		<-s.window
	}
	return err
}

// request numbers, books and writes a request. An error means that it was not
// sent and its waiter will hear nothing.
func (s *Session) request(r *request, message func(wamp.ID) wamp.Message) error {
	s.write.Lock()
	defer s.write.Unlock()
	id := s.counter.Next()
	if err := s.book(id, r); err != nil {
		return err
	}
	if s.closed || !s.send(message(id)) {
		if s.take(id) != nil {
			return ErrLost
		}
	}
	return nil
}

// send writes a message unless the session ends before the router takes it.
// s.write is held.
func (s *Session) send(msg wamp.Message) bool {
	select {
	case s.peer.Send() <- msg:
		return true
	case <-s.peer.Done():
	case <-s.quit:
	}
	return false
}

func (s *Session) book(id wamp.ID, r *request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return s.ended
	}
	s.requests[id] = r
	return nil
}

// take removes a request from the books; nil if it is not there.
func (s *Session) take(id wamp.ID) *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.requests[id]
	delete(s.requests, id)
	return r
}

// Subscribe subscribes to a topic and waits for the router's answer. handler
// gets each event, one at a time, in the goroutine that reads the session: while
// it runs, no answer is read.
func (s *Session) Subscribe(ctx context.Context, topic wamp.URI, match string, handler func(*wamp.Event)) (wamp.ID, error) {
	joined := make(chan subscribeOutcome, 1) // so that the reader never waits for us
	err := s.request(&request{since: time.Now(), handler: handler, joined: joined}, func(id wamp.ID) wamp.Message {
		return &wamp.Subscribe{Request: id, Options: wamp.Dict{wamp.OptMatch: match}, Topic: topic}
	})
	if err != nil {
		return 0, err
	}
	select {
	case outcome := <-joined:
		return outcome.id, outcome.err
	case <-ctx.Done():
		return 0, fmt.Errorf("subscribe to %s: %w", topic, ctx.Err())
	}
}

// Expire gives up the publications that have waited for an answer since before
// the given time: their outcome is ErrNoAnswer.
func (s *Session) Expire(before time.Time) {
	s.mu.Lock()
	var expired []*request
	for id, r := range s.requests {
		if r.answer != nil && r.since.Before(before) {
			expired = append(expired, r)
			delete(s.requests, id)
		}
	}
	s.mu.Unlock()
	for _, r := range expired {
		<-s.window
		r.answer(Outcome{Lost: ErrNoAnswer})
	}
}

// Close leaves the realm: it says GOODBYE, waits for the router's until ctx
// ends, and closes the peer. It is safe to call twice. Afterwards nothing of the
// session runs any more.
func (s *Session) Close(ctx context.Context, reason wamp.URI) {
	stop := context.AfterFunc(ctx, func() { s.end(ErrClosed) })
	defer stop()
	s.write.Lock()
	if !s.closed {
		s.closed = true
		s.send(&wamp.Goodbye{Reason: reason, Details: wamp.Dict{}})
	}
	s.write.Unlock()
	<-s.done
}
