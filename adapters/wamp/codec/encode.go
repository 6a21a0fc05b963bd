package codec

import (
	"fmt"

	"github.com/gammazero/nexus/v3/wamp"
	"github.com/ugorji/go/codec"
)

// Encode returns the message as bytes that belong to the caller. It fails for a
// value that the serialization cannot hold.
func (c *Codec) Encode(msg wamp.Message) ([]byte, error) {
	list := elements(msg)
	if list == nil {
		return nil, fmt.Errorf("encode: no such message: %T", msg)
	}
	encoder := c.encoders.Get().(*codec.Encoder)
	defer c.encoders.Put(encoder)
	var data []byte
	encoder.ResetBytes(&data)
	if err := encoder.Encode(list); err != nil {
		return nil, fmt.Errorf("encode %s as %s: %w", msg.MessageType(), c.name, err)
	}
	return data, nil
}

// elements is the message as a list, numbers and names as plain types, which
// the encoder writes without reflection. It is nil for a type that WAMP does not
// have.
func elements(msg wamp.Message) []any {
	kind := int64(msg.MessageType())
	switch m := msg.(type) {
	case *wamp.Hello:
		return []any{kind, string(m.Realm), dict(m.Details)}
	case *wamp.Welcome:
		return []any{kind, uint64(m.ID), dict(m.Details)}
	case *wamp.Abort:
		return []any{kind, dict(m.Details), string(m.Reason)}
	case *wamp.Challenge:
		return []any{kind, m.AuthMethod, dict(m.Extra)}
	case *wamp.Authenticate:
		return []any{kind, m.Signature, dict(m.Extra)}
	case *wamp.Goodbye:
		return []any{kind, dict(m.Details), string(m.Reason)}
	case *wamp.Error:
		return payload(m.Arguments, m.ArgumentsKw, kind, int64(m.Type), uint64(m.Request), dict(m.Details), string(m.Error))
	}
	if list := pubSubElements(kind, msg); list != nil {
		return list
	}
	return callElements(kind, msg)
}

func pubSubElements(kind int64, msg wamp.Message) []any {
	switch m := msg.(type) {
	case *wamp.Publish:
		return payload(m.Arguments, m.ArgumentsKw, kind, uint64(m.Request), dict(m.Options), string(m.Topic))
	case *wamp.Published:
		return []any{kind, uint64(m.Request), uint64(m.Publication)}
	case *wamp.Subscribe:
		return []any{kind, uint64(m.Request), dict(m.Options), string(m.Topic)}
	case *wamp.Subscribed:
		return []any{kind, uint64(m.Request), uint64(m.Subscription)}
	case *wamp.Unsubscribe:
		return []any{kind, uint64(m.Request), uint64(m.Subscription)}
	case *wamp.Unsubscribed:
		return []any{kind, uint64(m.Request)}
	case *wamp.Event:
		return payload(m.Arguments, m.ArgumentsKw, kind, uint64(m.Subscription), uint64(m.Publication), dict(m.Details))
	}
	return nil
}

func callElements(kind int64, msg wamp.Message) []any {
	switch m := msg.(type) {
	case *wamp.Call:
		return payload(m.Arguments, m.ArgumentsKw, kind, uint64(m.Request), dict(m.Options), string(m.Procedure))
	case *wamp.Cancel:
		return []any{kind, uint64(m.Request), dict(m.Options)}
	case *wamp.Result:
		return payload(m.Arguments, m.ArgumentsKw, kind, uint64(m.Request), dict(m.Details))
	case *wamp.Register:
		return []any{kind, uint64(m.Request), dict(m.Options), string(m.Procedure)}
	case *wamp.Registered:
		return []any{kind, uint64(m.Request), uint64(m.Registration)}
	case *wamp.Unregister:
		return []any{kind, uint64(m.Request), uint64(m.Registration)}
	case *wamp.Unregistered:
		return []any{kind, uint64(m.Request)}
	case *wamp.Invocation:
		return payload(m.Arguments, m.ArgumentsKw, kind, uint64(m.Request), uint64(m.Registration), dict(m.Details))
	case *wamp.Interrupt:
		return []any{kind, uint64(m.Request), dict(m.Options)}
	case *wamp.Yield:
		return payload(m.Arguments, m.ArgumentsKw, kind, uint64(m.Request), dict(m.Options))
	}
	return nil
}

// payload appends args and kwargs to the elements before them, leaving out what
// is empty at the end.
func payload(args wamp.List, kwargs wamp.Dict, head ...any) []any {
	switch {
	case len(kwargs) > 0 && args == nil:
		return append(head, []any{}, map[string]any(kwargs))
	case len(kwargs) > 0:
		return append(head, []any(args), map[string]any(kwargs))
	case len(args) > 0:
		return append(head, []any(args))
	}
	return head
}

// dict is never null on the wire.
func dict(d wamp.Dict) map[string]any {
	if d == nil {
		return map[string]any{}
	}
	return d
}
