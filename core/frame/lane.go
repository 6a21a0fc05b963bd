package frame

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// AppendLane appends what order is kept in, as a key: source, space and topic,
// each behind its length.
func (f Frame) AppendLane(key []byte) []byte {
	var source, space, topic []byte
	for rest := f.bytes; len(rest) > 0; {
		number, wireType, n := protowire.ConsumeTag(rest)
		if n < 0 {
			break
		}
		size := protowire.ConsumeFieldValue(number, wireType, rest[n:])
		if size < 0 {
			break
		}
		if wireType == protowire.BytesType {
			content, _ := protowire.ConsumeBytes(rest[n:])
			switch number {
			case fieldSource:
				source = content
			case fieldSpace:
				space = content
			case fieldTopic:
				topic = content
			}
		}
		rest = rest[n+size:]
	}
	for _, part := range [][]byte{source, space, topic} {
		key = protowire.AppendBytes(key, part)
	}
	return key
}

// Arrived is when the bus gave the event its id, to the millisecond; zero if it
// has none.
func (f Frame) Arrived() time.Time {
	id := f.ID()
	if id == "" {
		return time.Time{}
	}
	millis, err := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}
