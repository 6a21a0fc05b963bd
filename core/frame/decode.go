package frame

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pushbridge/bridge/core"
)

// Decode reads an encoded event that [Parse] accepted, here or on the other
// side of the boundary. text must be string(b): the event's strings are cut from
// it and Data from b, so a reader of a batch converts the batch once and
// allocates nothing per field. Of bytes that are malformed all the same it
// returns what stands before the defect.
func Decode(b []byte, text string) core.Event {
	var e core.Event
	for at := 0; at < len(b); {
		number, wireType, n := protowire.ConsumeTag(b[at:])
		if n < 0 {
			return e
		}
		at += n
		size := protowire.ConsumeFieldValue(number, wireType, b[at:])
		if size < 0 {
			return e
		}
		value := b[at : at+size]
		switch wireType {
		case protowire.BytesType:
			content, _ := protowire.ConsumeBytes(value)
			start := at + size - len(content)
			decodeBytes(&e, number, content[:len(content):len(content)], text[start:at+size])
		case protowire.VarintType:
			v, _ := protowire.ConsumeVarint(value)
			decodeVarint(&e, number, v)
		case protowire.Fixed64Type:
			if v, _ := protowire.ConsumeFixed64(value); number == fieldTime && v != 0 {
				e.Time = time.Unix(0, int64(v)).UTC()
			}
		}
		at += size
	}
	return e
}

func decodeBytes(e *core.Event, number protowire.Number, content []byte, text string) {
	switch number {
	case fieldID:
		e.ID = text
	case fieldSource:
		e.Source = text
	case fieldSpace:
		e.Space = text
	case fieldTopic:
		e.Topic = text
	case fieldName:
		e.Name = text
	case fieldType:
		e.Type = text
	case fieldData:
		e.Data = content
	case fieldOnly:
		e.Only = decodeAudience(e.Only, content)
	case fieldExcept:
		e.Except = decodeAudience(e.Except, content)
	case fieldMeta:
		if e.Meta == nil {
			e.Meta = make(map[string]string)
		}
		key, value := mapEntryOf(content)
		e.Meta[key] = string(value)
	}
}

func decodeVarint(e *core.Event, number protowire.Number, value uint64) {
	switch number {
	case fieldKind:
		e.Kind = core.Kind(value)
	case fieldDirect:
		e.Direct = value != 0
	case fieldHops:
		e.Hops = uint8(value)
	}
}

// decodeAudience adds the kinds in b to audience.
func decodeAudience(audience core.Audience, b []byte) core.Audience {
	if audience == nil {
		audience = make(core.Audience)
	}
	for entry := range fieldsOf(b) {
		kind, list := mapEntryOf(entry)
		entries := audience[kind]
		if entries == nil {
			entries = []string{}
		}
		for e := range fieldsOf(list) {
			entries = append(entries, string(e))
		}
		audience[kind] = entries
	}
	return audience
}

// fieldsOf yields the length-delimited fields of a message.
func fieldsOf(b []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(b) > 0 {
			_, _, n := protowire.ConsumeTag(b)
			if n < 0 {
				return
			}
			value, size := protowire.ConsumeBytes(b[n:])
			if size < 0 || !yield(value) {
				return
			}
			b = b[n+size:]
		}
	}
}

// mapEntryOf reads a map entry with a text key and a length-delimited value.
func mapEntryOf(b []byte) (key string, value []byte) {
	for len(b) > 0 {
		number, _, n := protowire.ConsumeTag(b)
		if n < 0 {
			return key, value
		}
		v, size := protowire.ConsumeBytes(b[n:])
		if size < 0 {
			return key, value
		}
		switch number {
		case 1:
			key = string(v)
		case 2:
			value = v
		}
		b = b[n+size:]
	}
	return key, value
}
