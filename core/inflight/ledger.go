package inflight

import "sync"

// Ledger books the answers to items numbered from 1 and knows up to which number
// everything is answered, so that the ordinary answers need no message of their
// own.
type Ledger struct {
	mu      sync.Mutex
	through uint64
	// ahead holds the numbers above through that are answered; it is bounded by
	// the asker's window.
	ahead map[uint64]struct{}
}

// Through is the number up to which every item is answered.
func (l *Ledger) Through() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.through
}

// Book books an answer to count items from number on and reports which of them
// are news: not booked before.
//
// tell is called, under the lock, for every item of which the asker must be told
// singly: all news if the answer says something (loud), else those that the mark
// does not reach, because an earlier item is still open.
func (l *Ledger) Book(number uint64, count int, loud bool, tell func(number uint64)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := number; n < number+uint64(count); n++ {
		if n <= l.through {
			continue
		}
		if n != l.through+1 {
			if _, booked := l.ahead[n]; booked {
				continue
			}
			if l.ahead == nil {
				l.ahead = make(map[uint64]struct{})
			}
			l.ahead[n] = struct{}{}
			tell(n)
			continue
		}
		if loud {
			tell(n)
		}
		l.advance(n)
	}
}

// advance moves the mark to n and over what is booked behind it.
func (l *Ledger) advance(n uint64) {
	l.through = n
	for len(l.ahead) > 0 {
		next := l.through + 1
		if _, booked := l.ahead[next]; !booked {
			return
		}
		delete(l.ahead, next)
		l.through = next
	}
}
