package wsout

import "slices"

// batch is what a shard offers to the members of a group at a time.
type batch struct {
	first   uint64 // the number of entries[0]
	entries []entry
	excepts bool      // some entry has exceptions
	merged  [2][]byte // all entries, as they are and compressed, once asked for
}

// A batch is few enough bytes to pass a socket's buffer at once, most times, and
// enough messages to make the system call cheap.
const (
	batchMessages = 256
	batchBytes    = 64 << 10
)

// newBatch makes a batch of the first of entries, at least one.
func newBatch(first uint64, entries []entry) *batch {
	b := &batch{first: first}
	size, count := 0, 0
	for _, e := range entries {
		if size += e.frame.Len(); count == batchMessages || count > 0 && size > batchBytes {
			break
		}
		b.excepts = b.excepts || !e.except.empty()
		count++
	}
	b.entries = entries[:count]
	return b
}

// end is the number of the entry behind the batch.
func (b *batch) end() uint64 { return b.first + uint64(len(b.entries)) }

// from is what c is to get of the batch from entry next on, and how many
// messages that are. It is not to be changed.
func (b *batch) from(next uint64, c *Conn) (data []byte, messages int) {
	if next == b.first && !(b.excepts && b.spares(c)) {
		return b.all(c.compressed), len(b.entries)
	}
	for _, e := range b.entries[next-b.first:] {
		if !e.except.has(c) {
			data = append(data, e.frame.bytes(c.compressed)...)
			messages++
		}
	}
	return data, messages
}

// spares reports whether c is excepted from some entry.
func (b *batch) spares(c *Conn) bool {
	return slices.ContainsFunc(b.entries, func(e entry) bool { return e.except.has(c) })
}

func (b *batch) all(compressed bool) []byte {
	if len(b.entries) == 1 {
		return b.entries[0].frame.bytes(compressed)
	}
	merged := &b.merged[0]
	if compressed {
		merged = &b.merged[1]
	}
	if *merged == nil {
		for _, e := range b.entries {
			*merged = append(*merged, e.frame.bytes(compressed)...)
		}
	}
	return *merged
}
