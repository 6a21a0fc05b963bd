package channel

import (
	"strings"
	"testing"
)

var limits = Limits{Name: 200, UserID: 200}

func TestCheck(t *testing.T) {
	for name, legal := range map[string]bool{
		"a": true, "aZ09_-=@,.;": true, ".": true, strings.Repeat("x", 200): true, strings.Repeat("x", 201): false,
		"": false, "a b": false, "a:b": false, "a/b": false, "é": false, "a\x00": false, "a\xff": false, "a#": false,
		"#server-to-user-user@1": true, "#server-to-user-": false, "#server-to-user-a b": false, "#server-to-user-#": false,
		UserPrefix + strings.Repeat("x", 200): true, UserPrefix + strings.Repeat("x", 201): false,
		"#other": false, "#": false, "#server-to-user": false,
	} {
		if err := Check(name, limits); (err == nil) != legal {
			t.Errorf("%q: %v", name, err)
		}
	}
	if err := Check("a/b", limits); err == nil || !strings.Contains(err.Error(), `'/'`) {
		t.Errorf("the error does not name the character: %v", err)
	}
	if Check("abc", Limits{Name: 2, UserID: 9}) == nil || Check(UserPrefix+"abc", Limits{Name: 99, UserID: 2}) == nil {
		t.Error("a limit does not count")
	}
	if CheckUserID("u@1", 3) != nil || CheckUserID("u@12", 3) == nil || CheckUserID("", 3) == nil || CheckUserID("ü", 3) == nil {
		t.Error("user ids")
	}
}

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "a.b-c": "a.b-c", "#x": "_x", "com.a/b:c": "com.a_b_c", "zoë ☃": "zo___", "\xff\xff": "__", UserPrefix + "a": "_server-to-user-a",
	} {
		if got := Escape(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	// auth, cache, presence, encrypted, client events, counts
	for name, want := range map[string]string{
		"private-encrypted-cache-x": "AC-E-N",
		"private-encrypted-x":       "A--E-N",
		"private-cache-x":           "AC--XN",
		"private-x":                 "A---XN",
		"private-":                  "A---XN",
		"presence-cache-x":          "ACP-X-",
		"presence-x":                "A-P-X-",
		"cache-x":                   "-C---N",
		"x":                         "-----N",
		"my-private-x":              "-----N",
		"privateer":                 "-----N",
		"presence":                  "-----N",
		"Private-x":                 "-----N",
		"":                          "-----N",
		"#server-to-user-x":         "------",
		"#other":                    "------",
	} {
		k := KindOf(name)
		got := ""
		for i, has := range []bool{k.NeedsAuth(), k.Caches(), k.IsPresence(), k.IsEncrypted(), k.TakesClientEvents(), k.Counts()} {
			if has {
				got += "ACPEXN"[i : i+1]
			} else {
				got += "-"
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if KindOf("#server-to-user-x") != User || KindOf("#x") != Reserved {
		t.Error("names with a hash")
	}
	if id, ok := UserOf(ForUser("u@1")); !ok || id != "u@1" {
		t.Error(id, ok)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("private-x", 5)
	f.Add("#server-to-user-é", 300)
	f.Fuzz(func(t *testing.T, name string, limit int) {
		if Check(name, Limits{Name: limit, UserID: limit}) == nil && name != Escape(name) && KindOf(name) != User {
			t.Errorf("%q is legal and is escaped", name)
		}
		if escaped := Escape(name); escaped != "" && Check(escaped, Limits{Name: len(escaped)}) != nil {
			t.Errorf("%q is escaped to %q, which is not legal", name, escaped)
		}
	})
}
