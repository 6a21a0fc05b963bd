package codec

import (
	"fmt"
	"unicode/utf8"

	"github.com/gammazero/nexus/v3/wamp"
)

// message gives a decoded list the shape of the message type that it names.
func message(list []any) (wamp.Message, error) {
	if len(list) == 0 {
		return nil, fmt.Errorf("message is empty")
	}
	kind, ok := list[0].(int64)
	if !ok {
		return nil, fmt.Errorf("message type is no integer")
	}
	f := &fields{kind: wamp.MessageType(kind), rest: list[1:]}
	msg := f.message()
	switch {
	case msg == nil:
		return nil, fmt.Errorf("no message has the type %d", kind)
	case f.err != nil:
		return nil, f.err
	case len(f.rest) > 0:
		return nil, fmt.Errorf("%s has %d elements too many", f.kind, len(f.rest))
	}
	return msg, nil
}

// fields takes the elements of a message one after the other. The first element
// that does not fit is the error.
type fields struct {
	kind wamp.MessageType
	rest []any
	err  error
}

func (f *fields) message() wamp.Message {
	switch f.kind {
	case wamp.HELLO:
		return &wamp.Hello{Realm: f.uri("realm"), Details: f.dict("details")}
	case wamp.WELCOME:
		return &wamp.Welcome{ID: f.id("session"), Details: f.dict("details")}
	case wamp.ABORT:
		return &wamp.Abort{Details: f.dict("details"), Reason: f.uri("reason")}
	case wamp.CHALLENGE:
		return &wamp.Challenge{AuthMethod: f.text("method"), Extra: f.dict("extra")}
	case wamp.AUTHENTICATE:
		return &wamp.Authenticate{Signature: f.text("signature"), Extra: f.dict("extra")}
	case wamp.GOODBYE:
		return &wamp.Goodbye{Details: f.dict("details"), Reason: f.uri("reason")}
	case wamp.ERROR:
		return &wamp.Error{
			Type: f.messageType("request type"), Request: f.id("request"), Details: f.dict("details"),
			Error: f.uri("error"), Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	}
	if msg := f.pubSub(); msg != nil {
		return msg
	}
	return f.call()
}

func (f *fields) pubSub() wamp.Message {
	switch f.kind {
	case wamp.PUBLISH:
		return &wamp.Publish{
			Request: f.id("request"), Options: f.dict("options"), Topic: f.uri("topic"),
			Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	case wamp.PUBLISHED:
		return &wamp.Published{Request: f.id("request"), Publication: f.id("publication")}
	case wamp.SUBSCRIBE:
		return &wamp.Subscribe{Request: f.id("request"), Options: f.dict("options"), Topic: f.uri("topic")}
	case wamp.SUBSCRIBED:
		return &wamp.Subscribed{Request: f.id("request"), Subscription: f.id("subscription")}
	case wamp.UNSUBSCRIBE:
		return &wamp.Unsubscribe{Request: f.id("request"), Subscription: f.id("subscription")}
	case wamp.UNSUBSCRIBED:
		return &wamp.Unsubscribed{Request: f.id("request")}
	case wamp.EVENT:
		return &wamp.Event{
			Subscription: f.id("subscription"), Publication: f.id("publication"), Details: f.dict("details"),
			Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	}
	return nil
}

func (f *fields) call() wamp.Message {
	switch f.kind {
	case wamp.CALL:
		return &wamp.Call{
			Request: f.id("request"), Options: f.dict("options"), Procedure: f.uri("procedure"),
			Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	case wamp.CANCEL:
		return &wamp.Cancel{Request: f.id("request"), Options: f.dict("options")}
	case wamp.RESULT:
		return &wamp.Result{
			Request: f.id("request"), Details: f.dict("details"), Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	case wamp.REGISTER:
		return &wamp.Register{Request: f.id("request"), Options: f.dict("options"), Procedure: f.uri("procedure")}
	case wamp.REGISTERED:
		return &wamp.Registered{Request: f.id("request"), Registration: f.id("registration")}
	case wamp.UNREGISTER:
		return &wamp.Unregister{Request: f.id("request"), Registration: f.id("registration")}
	case wamp.UNREGISTERED:
		return &wamp.Unregistered{Request: f.id("request")}
	case wamp.INVOCATION:
		return &wamp.Invocation{
			Request: f.id("request"), Registration: f.id("registration"), Details: f.dict("details"),
			Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	case wamp.INTERRUPT:
		return &wamp.Interrupt{Request: f.id("request"), Options: f.dict("options")}
	case wamp.YIELD:
		return &wamp.Yield{
			Request: f.id("request"), Options: f.dict("options"), Arguments: f.args(), ArgumentsKw: f.kwargs(),
		}
	}
	return nil
}

// next takes an element; there must be one.
func (f *fields) next(name string) any {
	if len(f.rest) == 0 {
		f.wrong(name, "is missing")
		return nil
	}
	element := f.rest[0]
	f.rest = f.rest[1:]
	return element
}

func (f *fields) wrong(name, what string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: the %s %s", f.kind, name, what)
	}
}

func (f *fields) id(name string) wamp.ID {
	n, ok := f.next(name).(int64)
	if !ok || n < 1 || n > wamp.MaxID {
		f.wrong(name, "is no integer from 1 to 2^53")
		return 0
	}
	return wamp.ID(n)
}

func (f *fields) messageType(name string) wamp.MessageType {
	n, ok := f.next(name).(int64)
	if !ok || n < 1 || n > int64(wamp.YIELD) {
		f.wrong(name, "is no message type")
		return 0
	}
	return wamp.MessageType(n)
}

func (f *fields) text(name string) string {
	text, ok := f.next(name).(string)
	if !ok || !utf8.ValidString(text) {
		f.wrong(name, "is no string")
		return ""
	}
	return text
}

func (f *fields) uri(name string) wamp.URI { return wamp.URI(f.text(name)) }

// dict takes null for an empty one: some clients send it.
func (f *fields) dict(name string) wamp.Dict {
	switch v := f.next(name).(type) {
	case map[string]any:
		return v
	case nil:
		return wamp.Dict{}
	}
	f.wrong(name, "is no dictionary")
	return nil
}

// args takes null for an empty list, which some clients send before kwargs.
func (f *fields) args() wamp.List {
	if len(f.rest) == 0 {
		return nil
	}
	switch v := f.next("args").(type) {
	case []any:
		return v
	case nil:
		return nil
	}
	f.wrong("args", "are no list")
	return nil
}

func (f *fields) kwargs() wamp.Dict {
	if len(f.rest) == 0 {
		return nil
	}
	switch v := f.next("kwargs").(type) {
	case map[string]any:
		return v
	case nil:
		return nil
	}
	f.wrong("kwargs", "are no dictionary")
	return nil
}
