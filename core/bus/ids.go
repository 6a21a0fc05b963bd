package bus

import (
	"encoding/hex"
	"math/rand/v2"
	"sync"
	"time"
)

// ids makes UUIDv7s (RFC 9562) that strictly increase: within a millisecond the
// 74 bits behind the time count up from a random start (the RFC's method 2).
// google/uuid makes them too, at 430 ns each with its string, more than a third
// of what the whole way of an event may cost; this is 30. The ids name events,
// they are no secrets, so the fast generator is good enough.
type ids struct {
	mu     sync.Mutex
	millis int64
	high   uint16 // 12 bits
	low    uint64 // 62 bits
}

const (
	highMask = 1<<12 - 1
	lowMask  = 1<<62 - 1
)

// next returns an id in its text form, greater than all before.
func (g *ids) next(now time.Time) [36]byte {
	millis := now.UnixMilli()
	g.mu.Lock()
	defer g.mu.Unlock()
	if millis > g.millis {
		g.millis = millis
		g.high = uint16(rand.Uint32()) & (highMask >> 1) // top bit free: room to count
		g.low = rand.Uint64() & lowMask
	} else if g.low++; g.low > lowMask {
		g.low = 0
		if g.high++; g.high > highMask {
			g.high = 0
			g.millis++ // borrowed from the future; the clock catches up
		}
	}
	return format(g.millis, 7<<12|g.high, 1<<63|g.low)
}

// format writes the text form: 48 bits of time, 16 with version and counter, 64
// with variant and counter.
func format(millis int64, high uint16, low uint64) [36]byte {
	raw := [16]byte{
		byte(millis >> 40), byte(millis >> 32), byte(millis >> 24), byte(millis >> 16), byte(millis >> 8), byte(millis),
		byte(high >> 8), byte(high),
		byte(low >> 56), byte(low >> 48), byte(low >> 40), byte(low >> 32), byte(low >> 24), byte(low >> 16), byte(low >> 8), byte(low),
	}
	var text [36]byte
	hex.Encode(text[0:8], raw[0:4])
	text[8] = '-'
	hex.Encode(text[9:13], raw[4:6])
	text[13] = '-'
	hex.Encode(text[14:18], raw[6:8])
	text[18] = '-'
	hex.Encode(text[19:23], raw[8:10])
	text[23] = '-'
	hex.Encode(text[24:36], raw[10:16])
	return text
}
