package route

import (
	"testing"

	"github.com/pushbridge/bridge/core/config"
)

func TestWishesAddUp(t *testing.T) {
	file, newer := &config.RouteFile{}, &config.RouteFile{}
	only := func(process string) func(*hostPlan) bool {
		return func(h *hostPlan) bool { return h.process == process }
	}
	for what, test := range map[string]struct {
		earlier  *wish
		later    wish
		file     *config.RouteFile
		replaces string
	}{
		"nothing waits":              {nil, wish{file: file}, file, ""},
		"a newer file":               {&wish{file: file}, wish{file: newer}, newer, ""},
		"a restart keeps the file":   {&wish{file: file}, wish{replace: only("a")}, file, "a"},
		"a file keeps the restart":   {&wish{replace: only("a")}, wish{file: file}, file, "a"},
		"restarts of two, in a file": {&wish{file: file, replace: only("a")}, wish{replace: only("b")}, file, "ab"},
	} {
		got := test.later.over(test.earlier)
		replaces := ""
		for _, process := range []string{"a", "b", "c"} {
			if got.replace != nil && got.replace(&hostPlan{process: process}) {
				replaces += process
			}
		}
		if got.file != test.file || replaces != test.replaces {
			t.Errorf("%s: file %p, replaces %q", what, got.file, replaces)
		}
	}
}
