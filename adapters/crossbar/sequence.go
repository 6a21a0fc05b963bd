package crossbar

import (
	"math/big"
	"sync"
)

// sequenceWindow is how far behind the largest seq of its key a request may come.
const sequenceWindow = 1000

// sequences checks, under strict_seq, that no seq of a key is used twice.
type sequences struct {
	mu   sync.Mutex
	keys map[string]*sequence
}

// sequence is what one key has used.
type sequence struct {
	largest *big.Int
	// used has bit n set when largest-n was used.
	used *big.Int
}

func newSequences() *sequences { return &sequences{keys: make(map[string]*sequence)} }

// use books a seq, a decimal integer, and reports whether it was free.
func (s *sequences) use(key, seq string) bool {
	n, ok := new(big.Int).SetString(seq, 10)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.keys[key]
	if known == nil {
		s.keys[key] = &sequence{largest: n, used: big.NewInt(1)}
		return true
	}
	return known.use(n)
}

func (s *sequence) use(n *big.Int) bool {
	ahead := new(big.Int).Sub(n, s.largest)
	if ahead.Sign() > 0 {
		if ahead.Cmp(big.NewInt(sequenceWindow)) >= 0 {
			s.used.SetInt64(0)
		} else {
			s.used.Lsh(s.used, uint(ahead.Int64()))
			s.used.And(s.used, windowMask())
		}
		s.used.SetBit(s.used, 0, 1)
		s.largest = n
		return true
	}
	behind, inWindow := s.behind(n)
	if !inWindow || s.used.Bit(behind) == 1 {
		return false
	}
	s.used.SetBit(s.used, behind, 1)
	return true
}

// behind is the bit of n, if it is in the window.
func (s *sequence) behind(n *big.Int) (bit int, inWindow bool) {
	difference := new(big.Int).Sub(s.largest, n)
	if difference.Sign() < 0 || difference.Cmp(big.NewInt(sequenceWindow)) >= 0 {
		return 0, false
	}
	return int(difference.Int64()), true
}

func windowMask() *big.Int {
	mask := new(big.Int).Lsh(big.NewInt(1), sequenceWindow)
	return mask.Sub(mask, big.NewInt(1))
}

// giveBack frees a seq whose request may come again.
func (s *sequences) giveBack(key, seq string) {
	n, ok := new(big.Int).SetString(seq, 10)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.keys[key]
	if known == nil {
		return
	}
	if bit, inWindow := known.behind(n); inWindow {
		known.used.SetBit(known.used, bit, 0)
	}
}

// keep forgets all keys but those that are still configured.
func (s *sequences) keep(ring keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.keys {
		if _, configured := ring.senders[key]; !configured {
			delete(s.keys, key)
		}
	}
}
