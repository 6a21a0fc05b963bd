package bus

// queue is a ring of deliveries that grows as it needs and shrinks when it has
// been emptied. It is guarded by its edge's lock.
type queue struct {
	ring  []Delivery
	head  int
	count int
	bytes int // encoded size of what is queued
}

// keepRing is the capacity that an empty queue keeps.
const keepRing = 1024

func (q *queue) len() int { return q.count }

func (q *queue) push(items []Delivery) {
	if need := q.count + len(items); need > len(q.ring) {
		q.grow(need)
	}
	for _, item := range items {
		q.ring[(q.head+q.count)%len(q.ring)] = item
		q.count++
		q.bytes += item.Frame.Len()
	}
}

// first is the oldest delivery. The queue must not be empty.
func (q *queue) first() *Delivery { return &q.ring[q.head] }

// pop removes the oldest delivery. The queue must not be empty.
func (q *queue) pop() Delivery {
	item := q.ring[q.head]
	q.ring[q.head] = Delivery{}
	q.head = (q.head + 1) % len(q.ring)
	q.count--
	q.bytes -= item.Frame.Len()
	if q.count == 0 && len(q.ring) > keepRing {
		q.ring, q.head = nil, 0
	}
	return item
}

func (q *queue) grow(need int) {
	ring := make([]Delivery, max(need, 2*len(q.ring), 16))
	for i := range q.count {
		ring[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = ring, 0
}
