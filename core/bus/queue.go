package bus

// queue is a ring of deliveries that grows as it needs. It is guarded by its
// edge's lock.
type queue struct {
	ring  []Delivery // its length is a power of two
	head  int
	count int
	bytes int // encoded size of what is queued
}

// The smallest ring, and the largest that an empty queue keeps.
const (
	smallRing = 16
	keepRing  = 8192
)

func (q *queue) len() int { return q.count }

// at is the place of the nth delivery from the head.
func (q *queue) at(n int) int { return (q.head + n) & (len(q.ring) - 1) }

func (q *queue) push(items []Delivery, bytes int) {
	if need := q.count + len(items); need > len(q.ring) {
		q.grow(need)
	}
	tail := q.at(q.count)
	copied := copy(q.ring[tail:], items)
	copy(q.ring, items[copied:])
	q.count += len(items)
	q.bytes += bytes
}

// take moves deliveries from the front to batch until it holds that many, or that
// many bytes; one larger delivery passes alone.
func (q *queue) take(batch []Delivery, most, mostBytes int) []Delivery {
	bytes, n := 0, 0
	for n < q.count && len(batch) < most {
		item := &q.ring[q.at(n)]
		size := item.Frame.Len()
		if n > 0 && bytes+size > mostBytes {
			break
		}
		batch = append(batch, *item)
		*item = Delivery{}
		bytes += size
		n++
	}
	q.forget(n, bytes)
	return batch
}

// forget moves the head over n deliveries.
func (q *queue) forget(n, bytes int) {
	q.head = q.at(n)
	q.count -= n
	q.bytes -= bytes
	if q.count == 0 && len(q.ring) > keepRing {
		q.ring, q.head = nil, 0
	}
}

func (q *queue) grow(need int) {
	size := max(len(q.ring), smallRing)
	for size < need {
		size *= 2
	}
	ring := make([]Delivery, size)
	copied := copy(ring, q.ring[q.head:min(q.head+q.count, len(q.ring))])
	copy(ring[copied:], q.ring[:q.count-copied])
	q.ring, q.head = ring, 0
}
