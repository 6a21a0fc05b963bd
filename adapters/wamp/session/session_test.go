package session_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
	"go.uber.org/goleak"

	"github.com/pushbridge/bridge/adapters/wamp/peer"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

// join joins a router that the test plays: it gets the other end.
func join(t *testing.T) (*session.Session, *peer.Pipe) {
	t.Helper()
	client, router := peer.NewPipe("", "")
	go func() {
		<-router.Recv()
		router.Send() <- welcome()
	}()
	s, err := session.Join(context.Background(), client, session.Hello{Realm: "r", Method: "anonymous"})
	if err != nil {
		t.Fatal(err)
	}
	return s, router
}

func welcome() *wamp.Welcome {
	return &wamp.Welcome{ID: 7, Details: wamp.Dict{"roles": wamp.Dict{"broker": wamp.Dict{}}}}
}

// leave ends a session with a router that answers.
func leave(t *testing.T, s *session.Session, router *peer.Pipe) {
	t.Helper()
	go func() {
		for msg := range router.Recv() {
			if _, ok := msg.(*wamp.Goodbye); ok {
				router.Send() <- &wamp.Goodbye{Reason: wamp.ErrGoodbyeAndOut}
				router.Close()
			}
		}
	}()
	s.Close(context.Background(), wamp.CloseRealm)
	if !errors.Is(s.Err(), session.ErrClosed) {
		t.Errorf("ended by %v", s.Err())
	}
}

func publish(t *testing.T, s *session.Session) <-chan session.Outcome {
	t.Helper()
	outcomes := make(chan session.Outcome, 1)
	if err := s.Publish(context.Background(), &wamp.Publish{Topic: "t"}, func(o session.Outcome) { outcomes <- o }); err != nil {
		t.Fatal(err)
	}
	return outcomes
}

func TestJoinFails(t *testing.T) {
	tests := []struct {
		name   string
		answer wamp.Message
		check  func(error) bool
	}{
		{"ABORT", &wamp.Abort{Reason: wamp.ErrNoSuchRealm, Details: wamp.Dict{"message": "m"}}, func(err error) bool {
			var rejected *session.Rejected
			return errors.As(err, &rejected) && rejected.Reason == wamp.ErrNoSuchRealm && rejected.Message == "m"
		}},
		{"no broker", &wamp.Welcome{ID: 1, Details: wamp.Dict{}}, func(err error) bool { return err != nil }},
		{"nonsense", &wamp.Event{}, func(err error) bool { return err != nil }},
		{"a challenge", &wamp.Challenge{AuthMethod: "ticket"}, func(err error) bool { return err != nil }},
		{"nothing", nil, func(err error) bool { return errors.Is(err, session.ErrLost) }},
	}
	for _, tt := range tests {
		client, router := peer.NewPipe("", "")
		go func() {
			<-router.Recv()
			if tt.answer != nil {
				router.Send() <- tt.answer
			} else {
				router.Close()
			}
		}()
		if _, err := session.Join(context.Background(), client, session.Hello{Realm: "r", Method: "anonymous"}); !tt.check(err) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if _, open := <-router.Recv(); open {
			t.Errorf("%s: the peer is not closed", tt.name)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	client, router := peer.NewPipe("", "")
	go func() { <-router.Recv() }()
	if _, err := session.Join(ctx, client, session.Hello{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a router that says nothing: %v", err)
	}
}

func TestChallenge(t *testing.T) {
	client, router := peer.NewPipe("", "")
	go func() {
		hello := (<-router.Recv()).(*wamp.Hello)
		if hello.Details["authid"] != "joe" {
			t.Errorf("hello %+v", hello)
		}
		router.Send() <- &wamp.Challenge{AuthMethod: "ticket"}
		if auth := (<-router.Recv()).(*wamp.Authenticate); auth.Signature != "secret" {
			t.Errorf("answer %+v", auth)
		}
		router.Send() <- welcome()
	}()
	s, err := session.Join(context.Background(), client, session.Hello{Realm: "r", Method: "ticket", AuthID: "joe",
		Answer: func(*wamp.Challenge) (string, error) { return "secret", nil }})
	if err != nil {
		t.Fatal(err)
	}
	leave(t, s, router)
}

func TestOutcomes(t *testing.T) {
	s, router := join(t)
	first, second := make(chan session.Outcome, 1), make(chan session.Outcome, 1)
	go func() {
		_ = s.Publish(context.Background(), &wamp.Publish{Topic: "a"}, func(o session.Outcome) { first <- o })
		_ = s.Publish(context.Background(), &wamp.Publish{Topic: "b"}, func(o session.Outcome) { second <- o })
	}()
	for n := range 2 {
		if got := (<-router.Recv()).(*wamp.Publish).Request; got != wamp.ID(n+1) {
			t.Errorf("request %d", got)
		}
	}
	router.Send() <- &wamp.Error{Type: wamp.PUBLISH, Request: 2, Error: wamp.ErrNotAuthorized}
	router.Send() <- &wamp.Published{Request: 1, Publication: 5}
	router.Send() <- &wamp.Published{Request: 1, Publication: 6} // nobody waits for it any more
	router.Send() <- &wamp.Published{Request: 99, Publication: 6}
	if o := <-first; o.Publication != 5 {
		t.Errorf("first %+v", o)
	}
	if o := <-second; o.Refused == nil || o.Refused.Error != wamp.ErrNotAuthorized {
		t.Errorf("second %+v", o)
	}
	if n := s.Unanswered(); n != 0 {
		t.Errorf("%d unanswered", n)
	}
	leave(t, s, router)
}

// TestLost wants all that is unanswered to be told, in order.
func TestLost(t *testing.T) {
	s, router := join(t)
	var mu sync.Mutex
	var order []int
	go func() {
		for range 50 {
			<-router.Recv()
		}
		router.Close()
	}()
	for n := range 50 {
		err := s.Publish(context.Background(), &wamp.Publish{}, func(o session.Outcome) {
			mu.Lock()
			defer mu.Unlock()
			if o.Lost == nil {
				t.Errorf("outcome %+v", o)
			}
			order = append(order, n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	<-s.Done()
	if len(order) != 50 || !slices.IsSorted(order) {
		t.Errorf("told %v", order)
	}
	if err := s.Publish(context.Background(), &wamp.Publish{}, nil); !errors.Is(err, session.ErrLost) {
		t.Errorf("afterwards: %v", err)
	}
	s.Close(context.Background(), wamp.CloseRealm)
}

func TestRouterSaysGoodbye(t *testing.T) {
	s, router := join(t)
	router.Send() <- &wamp.Goodbye{Reason: wamp.ErrSystemShutdown}
	if goodbye := (<-router.Recv()).(*wamp.Goodbye); goodbye.Reason != wamp.ErrGoodbyeAndOut {
		t.Errorf("answered %+v", goodbye)
	}
	<-s.Done()
	var rejected *session.Rejected
	if !errors.As(s.Err(), &rejected) || rejected.Reason != wamp.ErrSystemShutdown {
		t.Errorf("ended by %v", s.Err())
	}
	if _, open := <-router.Recv(); open {
		t.Error("the peer is not closed")
	}
}

func TestExpire(t *testing.T) {
	s, router := join(t)
	go func() { <-router.Recv() }()
	outcomes := publish(t, s)
	s.Expire(time.Now().Add(-time.Hour))
	if n := s.Unanswered(); n != 1 {
		t.Errorf("%d unanswered", n)
	}
	s.Expire(time.Now().Add(time.Hour))
	if o := <-outcomes; !errors.Is(o.Lost, session.ErrNoAnswer) {
		t.Errorf("outcome %+v", o)
	}
	router.Send() <- &wamp.Published{Request: 1, Publication: 5} // late
	leave(t, s, router)
}

func TestSubscribe(t *testing.T) {
	s, router := join(t)
	got := make(chan *wamp.Event, 1)
	go func() {
		request := (<-router.Recv()).(*wamp.Subscribe)
		router.Send() <- &wamp.Subscribed{Request: request.Request, Subscription: 3}
		router.Send() <- &wamp.Event{Subscription: 9} // nobody's
		router.Send() <- &wamp.Event{Subscription: 3, Publication: 4}
		request = (<-router.Recv()).(*wamp.Subscribe)
		router.Send() <- &wamp.Error{Type: wamp.SUBSCRIBE, Request: request.Request, Error: wamp.ErrNotAuthorized, Arguments: wamp.List{"why"}}
	}()
	id, err := s.Subscribe(t.Context(), "t", "exact", func(e *wamp.Event) { got <- e })
	if err != nil || id != 3 {
		t.Fatalf("%d, %v", id, err)
	}
	if e := <-got; e.Publication != 4 {
		t.Errorf("event %+v", e)
	}
	_, err = s.Subscribe(t.Context(), "u", "exact", nil)
	var rejected *session.Rejected
	if !errors.As(err, &rejected) || rejected.Reason != wamp.ErrNotAuthorized || rejected.Message != "why" {
		t.Errorf("refused: %v", err)
	}
	leave(t, s, router)
}

// TestCloseOfAStuckRouter closes a session whose router takes nothing, with a
// publication that waits to be taken.
func TestCloseOfAStuckRouter(t *testing.T) {
	s, router := join(t)
	published := make(chan error, 1)
	go func() { published <- s.Publish(context.Background(), &wamp.Publish{}, func(session.Outcome) {}) }()
	for s.Unanswered() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.Close(ctx, wamp.CloseRealm)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close does not return")
	}
	<-published
	for open := true; open; { // the router is told
		_, open = <-router.Recv()
	}
}

func TestWindow(t *testing.T) {
	s, router := join(t)
	go func() {
		for range session.Window {
			<-router.Recv()
		}
	}()
	for range session.Window {
		publish(t, s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Publish(ctx, &wamp.Publish{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one too many: %v", err)
	}
	router.Send() <- &wamp.Published{Request: 1, Publication: 1}
	go func() { <-router.Recv() }()
	publish(t, s)
	leave(t, s, router)
}
