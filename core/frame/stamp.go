package frame

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/pushbridge/bridge/core"
)

// Stamper adds to events what the bus adds: an id, the name of the instance that
// emitted them, one hop more, and a time if they have none. It copies each event
// once, several into one piece of memory, and never more of them than a piece
// holds: so a frame that waits pins its piece, not the batch that it came in.
type Stamper struct {
	source string
	now    time.Time
	nextID func() [idBytes]byte
	left   int // bytes that are still to come, about
	piece  []byte
}

// pieceBytes bounds what one small frame can pin.
const pieceBytes = 8 << 10

// NewStamper returns a stamper for events, of about so many bytes together, that
// arrived from source now. nextID gives ids in text form.
func NewStamper(source string, now time.Time, events, bytes int, nextID func() [idBytes]byte) Stamper {
	return Stamper{source: source, now: now, nextID: nextID, left: bytes + events*(added+len(source))}
}

// added is how much longer an event becomes, beside the name of its source: id,
// tag and length of the source, hops, time.
const added = 2 + idBytes + 3 + 2 + 9

// Stamp returns the stamped frame. The error is a [*core.Refusal] with
// [core.CodeTooManyHops].
func (s *Stamper) Stamp(f Frame) (Frame, error) {
	if f.hops >= core.MaxHops {
		return Frame{}, core.Refuse(core.CodeTooManyHops, "event was published by %d bridges already: the routes form a loop", f.hops)
	}
	b := s.room(len(f.bytes) + len(s.source) + added)
	b = append(b, f.bytes...)
	id := s.nextID()
	b = append(b, fieldID<<3|byte(protowire.BytesType), idBytes)
	at := uint32(len(b))
	b = append(b, id[:]...)
	b = appendString(b, fieldSource, s.source)
	b = appendVarint(b, fieldHops, uint64(f.hops)+1)
	if !f.timed {
		b = protowire.AppendTag(b, fieldTime, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, uint64(s.now.UnixNano()))
	}
	s.piece = s.piece[:len(s.piece)+len(b)]
	return Frame{bytes: b[:len(b):len(b)], kind: f.kind, hops: f.hops + 1, timed: true, id: at}, nil
}

// room returns an empty slice with room for size bytes at the end of the piece.
func (s *Stamper) room(size int) []byte {
	if cap(s.piece)-len(s.piece) < size {
		s.piece = make([]byte, 0, max(size, min(s.left, pieceBytes)))
	}
	s.left -= size
	return s.piece[len(s.piece):len(s.piece):cap(s.piece)]
}
