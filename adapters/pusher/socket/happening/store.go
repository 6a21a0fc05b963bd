package happening

import (
	"encoding/json"
	"hash/fnv"
	"time"
)

// shards is how many parts a ledger is stored in, so that a change does not cost
// as much as there is.
const shards = 64

// stored is what the bus knows of one channel, as it is stored.
type stored struct {
	Channel string   `json:"c"`
	Users   []string `json:"u,omitempty"`
	Missed  bool     `json:"m,omitempty"`
}

// shardOf is the part that a channel is stored in. It must not change between
// versions: each generation replaces what another stored.
func shardOf(channel string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(channel)) // never fails
	return int(h.Sum32() % shards)
}

// Unsaved returns the parts that changed since it was last called, as they are
// to be stored; an empty one as nil.
func (l *Ledger) Unsaved() map[int][]byte {
	parts := make(map[int][]byte)
	for shard := range shards {
		if l.dirty&(1<<shard) == 0 {
			continue
		}
		var told []stored
		for name, c := range l.told[shard] {
			_, missed := l.missed[name]
			t := stored{Channel: name, Missed: missed}
			for user := range c.members {
				t.Users = append(t.Users, user)
			}
			told = append(told, t)
		}
		parts[shard] = nil
		if told != nil {
			parts[shard], _ = json.Marshal(told) // strings are always JSON
		}
	}
	l.dirty = 0
	return parts
}

// Dirty reports whether Unsaved has something.
func (l *Ledger) Dirty() bool { return l.dirty != 0 }

// Restore takes over what another ledger had told the bus, from its stored parts.
// Everybody is thought to be on the point of leaving, after grace or the delay,
// whichever is longer: whoever is there is said to be afterwards.
func (l *Ledger) Restore(now time.Time, grace time.Duration, parts [][]byte) {
	delay, dirty := l.Delay, l.dirty
	l.Delay = max(l.Delay, grace)
	defer func() { l.Delay, l.dirty = delay, dirty }()
	for _, part := range parts {
		var told []stored
		if json.Unmarshal(part, &told) != nil {
			continue // nothing that we stored; the worst of it is a happening told twice
		}
		for _, t := range told {
			l.restore(now, t)
		}
	}
}

func (l *Ledger) restore(now time.Time, t stored) {
	if l.at(t.Channel) != nil {
		return
	}
	c := &channel{members: make(map[string]*member)}
	l.put(t.Channel, c)
	for _, user := range t.Users {
		c.members[user] = &member{leaving: l.hold(now, t.Channel, user)}
	}
	c.leaving = l.hold(now, t.Channel, "")
	if t.Missed {
		l.missed[t.Channel] = struct{}{}
	}
}
