package happening

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/app"
)

// play runs a script of steps against a ledger whose clock the script moves, and
// returns what was emitted, each with the time in milliseconds.
func play(t *testing.T, delay time.Duration, script string) []string {
	t.Helper()
	start := time.Unix(0, 0)
	now := start
	var emitted []string
	l := NewLedger(delay, func(name, channel, user string) {
		emitted = append(emitted, strings.TrimSuffix(name+" "+channel+" "+user, " "))
	})
	for line := range strings.SplitSeq(script, ";") {
		step := append(strings.Fields(line), "", "", "")
		switch step[0] {
		case "occupied":
			l.Occupied(step[1])
		case "vacated":
			l.Vacated(now, step[1])
		case "joined":
			l.Joined(step[1], step[2])
		case "left":
			l.Left(now, step[1], step[2])
		case "missed":
			l.Missed(step[1])
		case "filled":
			l.Filled(step[1])
		case "delay":
			d, err := time.ParseDuration(step[1])
			if err != nil {
				t.Fatal(err)
			}
			l.Delay = d
		case "after":
			d, err := time.ParseDuration(step[1])
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			l.Due(now)
			emitted = append(emitted, "|")
		default:
			t.Fatalf("step %q", line)
		}
	}
	if at, waits := l.Next(); waits && !at.After(now) {
		t.Errorf("%s: something is due and was not emitted", script)
	}
	return emitted
}

func TestLedger(t *testing.T) {
	for _, test := range []struct {
		name, delay, script, want string
	}{
		{"first and last", "3s", "occupied c; occupied c; vacated c; after 2999ms; after 1ms",
			"channel_occupied c,|,channel_vacated c,|"},
		{"a return is no return", "3s", "occupied c; vacated c; after 1s; occupied c; after 10s; vacated c; after 3s",
			"channel_occupied c,|,|,channel_vacated c,|"},
		{"a return does not lend its timer", "3s", "occupied c; vacated c; after 2s; occupied c; vacated c; after 2s; after 1s",
			"channel_occupied c,|,|,channel_vacated c,|"},
		{"a return after the leave is news", "3s", "occupied c; vacated c; after 3s; occupied c",
			"channel_occupied c,channel_vacated c,|,channel_occupied c"},
		{"occupied before added, removed before vacated", "3s", "joined p u; left p u; vacated p; after 3s",
			"channel_occupied p,member_added p u,member_removed p u,channel_vacated p,|"},
		{"users are told apart", "3s", "joined p u; joined p v; joined p u; left p u; after 1s; left p v; vacated p; after 2s; after 1s",
			"channel_occupied p,member_added p u,member_added p v,|,member_removed p u,|,member_removed p v,channel_vacated p,|"},
		{"a reload of the page", "3s", "joined p u; left p u; vacated p; after 1s; joined p u; after 10s",
			"channel_occupied p,member_added p u,|,|"},
		{"another user comes while one leaves", "3s", "joined p u; left p u; vacated p; after 1s; joined p v; after 2s",
			"channel_occupied p,member_added p u,|,member_added p v,member_removed p u,|"},
		{"no delay", "0s", "joined p u; left p u; vacated p; joined p u",
			"channel_occupied p,member_added p u,member_removed p u,channel_vacated p,channel_occupied p,member_added p u"},
		{"a shorter delay does not overtake", "3s", "joined p u; left p u; delay 0s; vacated p; after 3s",
			"channel_occupied p,member_added p u,member_removed p u,channel_vacated p,|"},
		{"a miss counts once until filled", "3s", "occupied cache-c; missed cache-c; missed cache-c; filled cache-c; missed cache-c",
			"channel_occupied cache-c,cache_miss cache-c,cache_miss cache-c"},
		{"a miss is forgotten with the channel", "0s", "occupied cache-c; missed cache-c; vacated cache-c; occupied cache-c; missed cache-c",
			"channel_occupied cache-c,cache_miss cache-c,channel_vacated cache-c,channel_occupied cache-c,cache_miss cache-c"},
		{"what never came cannot leave", "0s", "vacated c; left p u; filled c", ""},
		{"leaving twice is leaving once", "3s", "occupied c; vacated c; after 2s; vacated c; after 1s; after 3s",
			"channel_occupied c,|,channel_vacated c,|,|"},
	} {
		t.Run(test.name, func(t *testing.T) {
			delay, err := time.ParseDuration(test.delay)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(play(t, delay, test.script), ","); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// TestLedgerKeepsNothing lets many channels come and go and looks at what is left.
func TestLedgerKeepsNothing(t *testing.T) {
	l := NewLedger(time.Second, func(string, string, string) {})
	now := time.Unix(0, 0)
	for i := range 1000 {
		name := strings.Repeat("x", i)
		l.Joined(name, "u")
		l.Missed(name)
		l.Left(now, name, "u")
		l.Vacated(now, name)
		now = now.Add(time.Second)
		l.Due(now)
	}
	told := 0
	for _, shard := range l.told {
		told += len(shard)
	}
	if told != 0 || len(l.missed) != 0 || len(l.queue) != 0 {
		t.Errorf("%d channels, %d misses, %d departures are left", told, len(l.missed), len(l.queue))
	}
}

// FuzzLedger compares the ledger with the rule it follows: for each channel,
// occupied and vacated alternate, and so do added and removed of a member, all
// within the occupation.
func FuzzLedger(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Fuzz(func(t *testing.T, steps []byte) {
		var told []string
		l := NewLedger(2*time.Second, func(name, channel, user string) { told = append(told, name+user) })
		now := time.Unix(0, 0)
		present := map[string]bool{}
		for _, step := range steps {
			user := string('a' + step/6%3)
			switch step % 6 {
			case 0, 1:
				present[user] = true
				l.Joined("p", user)
			case 2, 3:
				if delete(present, user); len(present) == 0 {
					l.Left(now, "p", user)
					l.Vacated(now, "p")
				} else {
					l.Left(now, "p", user)
				}
			default:
				now = now.Add(time.Second)
				l.Due(now)
			}
		}
		now = now.Add(time.Hour)
		l.Due(now)
		occupied, members := false, []string{}
		for _, h := range told {
			user := h[len(h)-1:]
			switch {
			case h == app.ChannelOccupied && !occupied:
				occupied = true
			case h == app.ChannelVacated && occupied && len(members) == 0:
				occupied = false
			case strings.HasPrefix(h, app.MemberAdded) && occupied && !slices.Contains(members, user):
				members = append(members, user)
			case strings.HasPrefix(h, app.MemberRemoved) && slices.Contains(members, user):
				members = slices.DeleteFunc(members, func(m string) bool { return m == user })
			default:
				t.Fatalf("%s out of turn in %v", h, told)
			}
		}
		if occupied != (len(present) > 0) || len(members) != len(present) {
			t.Fatalf("at the end: occupied %v by %v, want %v", occupied, members, present)
		}
	})
}

// TestRestore hands what one ledger has told to another.
func TestRestore(t *testing.T) {
	var told []string
	emit := func(name, channel, user string) { told = append(told, strings.TrimSpace(name+" "+channel+" "+user)) }
	now := time.Unix(0, 0)
	before := NewLedger(3*time.Second, emit)
	for i := range 200 {
		before.Occupied(fmt.Sprint("c", i))
	}
	before.Joined("presence-r", "stays")
	before.Joined("presence-r", "goes")
	before.Occupied("cache-c")
	before.Missed("cache-c")
	before.Left(now, "presence-r", "goes")
	stored := map[int][]byte{}
	for shard, part := range before.Unsaved() {
		stored[shard] = part
	}
	if before.Dirty() {
		t.Error("stored, and still not")
	}
	before.Vacated(now, "c0")
	before.Due(now.Add(3 * time.Second))
	for shard, part := range before.Unsaved() {
		stored[shard] = part
	}

	told = nil
	now = now.Add(time.Hour)
	after := NewLedger(3*time.Second, emit)
	after.Delay = 0
	after.Restore(now, 5*time.Second, slices.Collect(maps.Values(stored)))
	for i := range 199 {
		after.Occupied(fmt.Sprint("c", i+1))
	}
	after.Joined("presence-r", "stays")
	after.Joined("presence-r", "comes")
	after.Occupied("cache-c")
	after.Missed("cache-c")
	after.Occupied("new")
	after.Due(now)
	if after.Delay != 0 || len(told) != 2 {
		t.Errorf("without grace: %v", told)
	}
	delete(after.at("presence-r").members, "comes")
	after.Due(now.Add(time.Minute))
	if want := []string{"member_added presence-r comes", "channel_occupied new"}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
