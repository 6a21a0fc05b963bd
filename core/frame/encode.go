package frame

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pushbridge/bridge/core"
)

// Append appends the encoded event to b and returns it. Fields that are zero
// are left out. It checks nothing: [Parse] does, on the receiving side.
func Append(b []byte, e *core.Event) []byte {
	b = appendString(b, fieldID, e.ID)
	b = appendString(b, fieldSource, e.Source)
	b = appendVarint(b, fieldKind, uint64(e.Kind))
	b = appendString(b, fieldSpace, e.Space)
	b = appendString(b, fieldTopic, e.Topic)
	if e.Direct {
		b = appendVarint(b, fieldDirect, 1)
	}
	b = appendString(b, fieldName, e.Name)
	if !e.Time.IsZero() {
		b = protowire.AppendTag(b, fieldTime, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, uint64(e.Time.UnixNano()))
	}
	b = appendString(b, fieldType, e.Type)
	if len(e.Data) > 0 {
		b = protowire.AppendTag(b, fieldData, protowire.BytesType)
		b = protowire.AppendBytes(b, e.Data)
	}
	b = appendAudience(b, fieldOnly, e.Only)
	b = appendAudience(b, fieldExcept, e.Except)
	if len(e.Meta) > 0 {
		b = appendMeta(b, e.Meta)
	}
	return appendVarint(b, fieldHops, uint64(e.Hops))
}

func appendMeta(b []byte, meta map[string]string) []byte {
	for key, value := range meta {
		b = protowire.AppendTag(b, fieldMeta, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeString(key)+sizeString(value)))
		b = appendString(b, 1, key)
		b = appendString(b, 2, value)
	}
	return b
}

// Sizes is about the encoded size of the events in bytes.
func Sizes(events []core.Event) int {
	size := 0
	for i := range events {
		size += Size(&events[i])
	}
	return size
}

// Size is an upper bound of the encoded event's length in bytes.
func Size(e *core.Event) int {
	const scalars = 2 + 2 + 9 + 2 // kind, direct, time, hops
	const fields = 6 * (1 + 3)    // tags and lengths of the strings, which have limits
	size := scalars + fields + len(e.ID) + len(e.Source) + len(e.Space) + len(e.Topic) + len(e.Name) + len(e.Type) +
		1 + protowire.SizeBytes(len(e.Data))
	if e.Only != nil || e.Except != nil {
		size += sizeAudienceField(e.Only) + sizeAudienceField(e.Except)
	}
	if e.Meta != nil {
		size += sizeMeta(e.Meta)
	}
	return size
}

func sizeMeta(meta map[string]string) int {
	size := 0
	for key, value := range meta {
		size += 1 + protowire.SizeBytes(sizeString(key)+sizeString(value))
	}
	return size
}

func appendAudience(b []byte, number protowire.Number, audience core.Audience) []byte {
	if len(audience) == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeAudience(audience)))
	for kind, entries := range audience {
		list := sizeEntries(entries)
		b = protowire.AppendTag(b, 1, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(sizeString(kind)+1+protowire.SizeBytes(list)))
		b = appendString(b, 1, kind)
		// The list is written even when it is empty: present and empty means nobody.
		b = protowire.AppendTag(b, 2, protowire.BytesType)
		b = protowire.AppendVarint(b, uint64(list))
		for _, entry := range entries {
			b = protowire.AppendTag(b, 1, protowire.BytesType)
			b = protowire.AppendString(b, entry)
		}
	}
	return b
}

func sizeAudienceField(audience core.Audience) int {
	if len(audience) == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(sizeAudience(audience))
}

func sizeAudience(audience core.Audience) int {
	size := 0
	for kind, entries := range audience {
		size += 1 + protowire.SizeBytes(sizeString(kind)+1+protowire.SizeBytes(sizeEntries(entries)))
	}
	return size
}

func sizeEntries(entries []string) int {
	size := 0
	for _, entry := range entries {
		size += 1 + protowire.SizeBytes(len(entry))
	}
	return size
}

// appendString appends a string field, nothing if it is empty.
func appendString(b []byte, number protowire.Number, value string) []byte {
	if value == "" {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.BytesType)
	return protowire.AppendString(b, value)
}

// appendVarint appends a varint field, nothing if it is zero.
func appendVarint(b []byte, number protowire.Number, value uint64) []byte {
	if value == 0 {
		return b
	}
	b = protowire.AppendTag(b, number, protowire.VarintType)
	return protowire.AppendVarint(b, value)
}

// sizeString is the size of a string field with a number below 16.
func sizeString(value string) int {
	if value == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(value))
}
