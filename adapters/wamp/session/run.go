package session

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gammazero/nexus/v3/wamp"
)

// run reads the session until it is over.
func (s *Session) run() {
	defer close(s.done)
	for {
		select {
		case msg, ok := <-s.peer.Recv():
			if !ok {
				s.end(ErrLost)
				return
			}
			if err := s.handle(msg); err != nil {
				s.end(err)
				return
			}
		case <-s.peer.Done():
			s.end(s.last())
			return
		case <-s.quit:
			s.end(nil) // wait for the end that has begun
			return
		}
	}
}

// last handles what came before the transport was lost, and says why the
// session is over.
func (s *Session) last() error {
	for {
		select {
		case msg, ok := <-s.peer.Recv():
			if !ok {
				return ErrLost
			}
			if err := s.handle(msg); err != nil {
				return err
			}
		default:
			return ErrLost
		}
	}
}

// handle takes one message. An error is the end of the session.
func (s *Session) handle(msg wamp.Message) error {
	switch m := msg.(type) {
	case *wamp.Event:
		s.mu.Lock()
		handler := s.handlers[m.Subscription]
		s.mu.Unlock()
		if handler != nil {
			handler(m)
		}
	case *wamp.Published:
		s.answer(m.Request, Outcome{Publication: m.Publication})
	case *wamp.Subscribed:
		s.subscribed(m)
	case *wamp.Error:
		s.refused(m)
	case *wamp.Goodbye:
		return s.goodbye(m)
	case *wamp.Abort:
		return &Rejected{Reason: m.Reason, Message: text(m.Details)}
	default:
		return fmt.Errorf("the router sent %s, which has no place in this session", msg.MessageType())
	}
	return nil
}

// answer hands a publication's outcome over. An answer that nobody waits for
// any more is ignored.
func (s *Session) answer(id wamp.ID, outcome Outcome) {
	if r := s.take(id); r != nil && r.answer != nil {
		<-s.window
		r.answer(outcome)
	}
}

func (s *Session) subscribed(m *wamp.Subscribed) {
	r := s.take(m.Request)
	if r == nil || r.joined == nil {
		return
	}
	s.mu.Lock()
	s.handlers[m.Subscription] = r.handler
	s.mu.Unlock()
	r.joined <- subscribeOutcome{id: m.Subscription}
}

func (s *Session) refused(m *wamp.Error) {
	r := s.take(m.Request)
	switch {
	case r == nil:
	case r.joined != nil:
		r.joined <- subscribeOutcome{err: &Rejected{Reason: m.Error, Message: argument(m.Arguments)}}
	default:
		<-s.window
		r.answer(Outcome{Refused: m})
	}
}

// goodbye answers the router's GOODBYE, unless it is itself the answer to ours.
func (s *Session) goodbye(m *wamp.Goodbye) error {
	s.write.Lock()
	defer s.write.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.closed = true
	s.send(&wamp.Goodbye{Reason: wamp.ErrGoodbyeAndOut, Details: wamp.Dict{}})
	return &Rejected{Reason: m.Reason, Message: text(m.Details)}
}

// end closes the books: whoever waits for an answer hears that there will be
// none, in the order of the requests. The first reason counts; a later call
// returns when the first is through.
func (s *Session) end(reason error) {
	s.ending.Do(func() {
		s.mu.Lock()
		s.ended = reason
		requests := s.requests
		s.requests = nil
		s.mu.Unlock()
		close(s.quit)

		s.write.Lock()
		s.closed = true
		s.peer.Close()
		s.write.Unlock()

		for _, id := range slices.Sorted(maps.Keys(requests)) {
			r := requests[id]
			if r.joined != nil {
				r.joined <- subscribeOutcome{err: reason}
				continue
			}
			<-s.window
			r.answer(Outcome{Lost: reason})
		}
	})
}

// text is the message of a router's details.
func text(details wamp.Dict) string {
	message, _ := wamp.AsString(details[wamp.OptMessage])
	return message
}

// argument is the first of an error's arguments, if it is a text.
func argument(args wamp.List) string {
	if len(args) == 0 {
		return ""
	}
	message, _ := wamp.AsString(args[0])
	return message
}
