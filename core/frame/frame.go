// Package frame holds events as bytes: the form in which they cross the plugin
// boundary and wait in the queues of the bus. The encoding is the protobuf
// message bridge.v1.Event of core/wire/bridgev1/bridge.proto, written and read
// by hand because the core only looks at an event and passes it on: [Parse]
// walks it once, [Frame.Stamp] appends what the bus adds, and nothing on the
// way decodes or re-encodes the payload.
//
// It knows neither gRPC nor routes. That it stays the same encoding as the
// generated code's is tested there.
package frame

import (
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pushbridge/bridge/core"
)

// Field numbers of bridge.v1.Event.
const (
	fieldID     = 1
	fieldSource = 2
	fieldKind   = 3
	fieldSpace  = 4
	fieldTopic  = 5
	fieldDirect = 6
	fieldName   = 7
	fieldTime   = 8
	fieldType   = 9
	fieldData   = 10
	fieldOnly   = 11
	fieldExcept = 12
	fieldMeta   = 13
	fieldHops   = 14
)

// Frame is one encoded event that passed [Parse]. It is a small value; copies
// share the bytes, which nobody changes.
type Frame struct {
	bytes []byte
	kind  core.Kind
	hops  uint8
	timed bool   // the event has a time
	id    uint32 // where the id stands; 0 if it has none
}

// Bytes is the encoded event. The caller must not change it.
func (f Frame) Bytes() []byte { return f.bytes }

// Len is the size of the encoded event in bytes.
func (f Frame) Len() int { return len(f.bytes) }

// Kind is the event's kind.
func (f Frame) Kind() core.Kind { return f.kind }

// ID is the event's id, "" before it was stamped.
func (f Frame) ID() string {
	if f.id == 0 {
		return ""
	}
	return string(f.bytes[f.id : f.id+idBytes])
}

// idBytes is the length of an id in text form.
const idBytes = 36

// Decode returns the event. Its Data shares the frame's bytes.
func (f Frame) Decode() core.Event { return Decode(f.bytes, string(f.bytes)) }

// Encode makes a frame of an event, checking it as [Parse] does. The frame
// shares no memory with the event.
func Encode(event *core.Event) (Frame, error) {
	return Parse(Append(make([]byte, 0, Size(event)), event))
}

// Parse walks an encoded event once: tags, lengths, UTF-8 and the limits of
// package core. It keeps encoded. The error is a [*core.Refusal] that names the
// field.
func Parse(encoded []byte) (Frame, error) {
	f := Frame{bytes: encoded}
	if len(encoded) > core.MaxEventBytes {
		return f, core.Refuse(core.CodeTooLarge, "event of %d bytes: the limit is %d", len(encoded), core.MaxEventBytes)
	}
	w := walker{frame: &f, size: len(encoded)}
	if err := w.walk(encoded); err != nil {
		return Frame{}, err
	}
	return f, nil
}

// walker checks one event's fields.
type walker struct {
	frame *Frame
	size  int // of the whole event
	metas int
}

func (w *walker) walk(b []byte) error {
	for len(b) > 0 {
		number, wireType, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed("a field", n)
		}
		if !number.IsValid() {
			return core.Refuse(core.CodeInvalidEvent, "%d is no field number", number)
		}
		b = b[n:]
		var err error
		switch wireType {
		case protowire.BytesType:
			value, size := protowire.ConsumeBytes(b)
			if n = size; n >= 0 {
				err = w.bytesField(number, value)
				if number == fieldID && len(value) == idBytes {
					w.frame.id = uint32(w.size - len(b) + size - idBytes)
				}
			}
		case protowire.VarintType:
			value, size := protowire.ConsumeVarint(b)
			if n = size; n >= 0 {
				err = w.varintField(number, value)
			}
		case protowire.Fixed64Type:
			value, size := protowire.ConsumeFixed64(b)
			if n = size; n >= 0 {
				err = w.fixedField(number, value)
			}
		case protowire.Fixed32Type:
			_, n = protowire.ConsumeFixed32(b)
			if n >= 0 && known(number) {
				err = wrongType(number)
			}
		default: // groups, which no version of this protocol has
			return core.Refuse(core.CodeInvalidEvent, "field %d has wire type %d", number, wireType)
		}
		if n < 0 {
			return malformed(nameOf(number), n)
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

func (w *walker) bytesField(number protowire.Number, value []byte) error {
	switch number {
	case fieldData:
		return nil
	case fieldID, fieldSource:
		return text(number, value, core.MaxSpaceBytes)
	case fieldSpace:
		return text(number, value, core.MaxSpaceBytes)
	case fieldTopic:
		return text(number, value, core.MaxTopicBytes)
	case fieldName:
		return text(number, value, core.MaxNameBytes)
	case fieldType:
		return text(number, value, core.MaxTypeBytes)
	case fieldOnly, fieldExcept:
		return eachField(number, value, 1, func(entry []byte) error { return audienceEntry(number, entry) })
	case fieldMeta:
		if w.metas++; w.metas > core.MaxMetaEntries {
			return core.Refuse(core.CodeInvalidEvent, "more than %d meta entries", core.MaxMetaEntries)
		}
		return mapEntry(number, value, func(v []byte) error { return text(number, v, core.MaxEventBytes) })
	}
	if known(number) {
		return wrongType(number)
	}
	return nil
}

func (w *walker) varintField(number protowire.Number, value uint64) error {
	switch number {
	case fieldKind:
		if value > uint64(core.KindHappening) {
			return core.Refuse(core.CodeInvalidEvent, "unknown kind %d", value)
		}
		w.frame.kind = core.Kind(value)
		return nil
	case fieldDirect:
		if value > 1 {
			return core.Refuse(core.CodeInvalidEvent, "direct is %d, not a boolean", value)
		}
		return nil
	case fieldHops:
		w.frame.hops = uint8(min(value, core.MaxHops))
		return nil
	}
	if known(number) {
		return wrongType(number)
	}
	return nil
}

func (w *walker) fixedField(number protowire.Number, value uint64) error {
	if number == fieldTime {
		w.frame.timed = value != 0
		return nil
	}
	if known(number) {
		return wrongType(number)
	}
	return nil
}

// audienceEntry checks one entry of the map Audience.kinds: a kind and the list
// of its entries.
func audienceEntry(number protowire.Number, entry []byte) error {
	return mapEntry(number, entry, func(entries []byte) error {
		return eachField(number, entries, 1, func(v []byte) error { return text(number, v, core.MaxEventBytes) })
	})
}

// mapEntry checks a map entry whose key is text and whose value is length
// delimited and checked by value.
func mapEntry(number protowire.Number, entry []byte, value func([]byte) error) error {
	for len(entry) > 0 {
		inner, wireType, n := protowire.ConsumeTag(entry)
		if n < 0 {
			return malformed(nameOf(number), n)
		}
		if wireType != protowire.BytesType {
			return wrongType(number)
		}
		v, size := protowire.ConsumeBytes(entry[n:])
		if size < 0 {
			return malformed(nameOf(number), size)
		}
		var err error
		switch inner {
		case 1:
			err = text(number, v, core.MaxNameBytes)
		case 2:
			err = value(v)
		}
		if err != nil {
			return err
		}
		entry = entry[n+size:]
	}
	return nil
}

// eachField walks a message whose only field is the length-delimited want and
// calls check for each occurrence. Other fields are refused: what limits an
// audience and is not understood must not be passed over.
func eachField(number protowire.Number, b []byte, want protowire.Number, check func([]byte) error) error {
	for len(b) > 0 {
		inner, wireType, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed(nameOf(number), n)
		}
		if inner != want || wireType != protowire.BytesType {
			return wrongType(number)
		}
		v, size := protowire.ConsumeBytes(b[n:])
		if size < 0 {
			return malformed(nameOf(number), size)
		}
		if err := check(v); err != nil {
			return err
		}
		b = b[n+size:]
	}
	return nil
}

func text(number protowire.Number, value []byte, limit int) error {
	if len(value) > limit {
		return core.Refuse(core.CodeInvalidEvent, "%s of %d bytes: the limit is %d", nameOf(number), len(value), limit)
	}
	if !utf8.Valid(value) {
		return core.Refuse(core.CodeInvalidEvent, "%s is not UTF-8", nameOf(number))
	}
	return nil
}

func known(number protowire.Number) bool { return number >= fieldID && number <= fieldHops }

func nameOf(number protowire.Number) string {
	names := [...]string{
		fieldID: "id", fieldSource: "source", fieldKind: "kind", fieldSpace: "space",
		fieldTopic: "topic", fieldDirect: "direct", fieldName: "name", fieldTime: "time",
		fieldType: "type", fieldData: "data", fieldOnly: "only", fieldExcept: "except",
		fieldMeta: "meta", fieldHops: "hops",
	}
	if known(number) {
		return names[number]
	}
	return fmt.Sprintf("field %d", number)
}

func malformed(what string, n int) error {
	return core.Refuse(core.CodeInvalidEvent, "%s is malformed: %v", what, protowire.ParseError(n))
}

func wrongType(number protowire.Number) error {
	return core.Refuse(core.CodeInvalidEvent, "%s has the wrong wire type", nameOf(number))
}
