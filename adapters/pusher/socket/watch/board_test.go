package watch

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBoard(t *testing.T) {
	for _, test := range []struct{ name, script, want string }{
		{"state at sign-in, then changes", "online b; watch w a,b; online a; after 100ms; offline a; after 3s; after 100ms",
			"w=+b-a,w+a,|,|,w-a,|"},
		{"what was known before the window ends is not told again", "online b; watch w b; after 100ms", "w=+b-,|"},
		{"changes are gathered", "watch w a,b,c; online a; after 50ms; online b; after 50ms", "w=+-a,b,c,|,w+a,b,|"},
		{"there and away within a window", "watch w a; delay 0s; online a; offline a; after 100ms", "w=+-a,|"},
		{"a page that is loaded anew", "online a; watch w a; offline a; after 2s; online a; after 10s", "w=+a-,|,|"},
		{"each gets its own list", "watch v a; watch w b; online a; online b; after 100ms", "v=+-a,w=+-b,v+a,w+b,|"},
		{"a watcher that left hears nothing", "watch w a; unwatch w; online a; after 100ms", "w=+-a,|"},
		{"twice the same", "watch w a,a,; online a; online a; after 100ms", "w=+-a,w+a,|"},
		{"going twice is going once", "online a; watch w a; offline a; after 2s; offline a; after 1s; after 100ms", "w=+a-,|,|,w-a,|"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := strings.Join(playBoard(t, test.script), ","); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func playBoard(t *testing.T, script string) []string {
	t.Helper()
	now := time.Unix(0, 0)
	b := NewBoard(100*time.Millisecond, 3*time.Second)
	watchers := map[string]*Watcher{}
	var told []string
	for line := range strings.SplitSeq(script, ";") {
		step := append(strings.Fields(line), "", "", "")
		switch step[0] {
		case "online":
			b.Online(now, step[1])
		case "offline":
			b.Offline(now, step[1])
		case "watch":
			name := step[1]
			w := &Watcher{Send: func(online, offline []string) {
				news := name
				if online != nil {
					news += "+" + strings.Join(online, ",")
				}
				if offline != nil {
					news += "-" + strings.Join(offline, ",")
				}
				told = append(told, news)
			}}
			watchers[name] = w
			online, offline := b.Watch(w, strings.Split(step[2], ","))
			told = append(told, name+"=+"+strings.Join(online, ",")+"-"+strings.Join(offline, ","))
		case "unwatch":
			watchers[step[1]].Stop()
		case "delay":
			b.OfflineDelay, _ = time.ParseDuration(step[1])
		case "after":
			d, err := time.ParseDuration(step[1])
			if err != nil {
				t.Fatal(err)
			}
			now = now.Add(d)
			news := len(told)
			b.Due(now)
			slices.Sort(told[news:]) // nothing is promised about the order of watchers
			told = append(told, "|")
		default:
			t.Fatalf("step %q", line)
		}
	}
	if at, waits := b.Next(); waits && !at.After(now) {
		t.Errorf("%s: something is due and was not told", script)
	}
	return told
}

// TestBoardKeepsNothing lets many users come and go and looks at what is left.
func TestBoardKeepsNothing(t *testing.T) {
	b := NewBoard(time.Second, time.Second)
	now := time.Unix(0, 0)
	for i := range 1000 {
		w := &Watcher{Send: func(_, _ []string) {}}
		id := strings.Repeat("u", i+1)
		b.Online(now, id)
		b.Watch(w, []string{id, id + "x"})
		b.Offline(now, id)
		now = now.Add(3 * time.Second)
		b.Due(now)
		now = now.Add(3 * time.Second)
		b.Due(now)
		w.Stop()
	}
	if len(b.users) != 0 || len(b.watchers) != 0 || len(b.changed) != 0 || len(b.going) != 0 {
		t.Errorf("%d users, %d watchers, %d changes, %d departures are left", len(b.users), len(b.watchers), len(b.changed), len(b.going))
	}
}
