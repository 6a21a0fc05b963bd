package wsout

// set is some connections, each once.
type set struct {
	few  []*Conn
	many map[*Conn]struct{} // instead, if there are more than a few
}

const aFew = 8

// newSet makes a set; a small one takes the slice over.
func newSet(conns []*Conn) set {
	if len(conns) <= aFew {
		return set{few: conns}
	}
	many := make(map[*Conn]struct{}, len(conns))
	for _, c := range conns {
		many[c] = struct{}{}
	}
	return set{many: many}
}

func (s set) empty() bool { return len(s.few)+len(s.many) == 0 }

func (s set) has(c *Conn) bool {
	for _, other := range s.few {
		if other == c {
			return true
		}
	}
	_, found := s.many[c]
	return found
}

// count applies f to each connection and counts where it is true.
func (s set) count(f func(*Conn) bool) (n int) {
	for i, c := range s.few {
		if !(set{few: s.few[:i]}).has(c) && f(c) {
			n++
		}
	}
	for c := range s.many {
		if f(c) {
			n++
		}
	}
	return n
}
