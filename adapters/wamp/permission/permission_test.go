package permission_test

import (
	"strings"
	"testing"

	"github.com/gammazero/nexus/v3/wamp"

	. "github.com/pushbridge/bridge/adapters/wamp/permission"
)

func rule(uri string, match Match, actions ...Action) Rule {
	r := Rule{URI: uri, Match: match}
	for _, a := range actions {
		r.Allow[a] = true
	}
	return r
}

func starred(uri string, actions ...Action) Rule {
	converted, match := Starred(uri)
	return rule(converted, match, actions...)
}

func TestStarred(t *testing.T) {
	tests := []struct {
		uri, want string
		match     Match
	}{
		{"com.a", "com.a", Exact},
		{"com.*", "com.", Prefix},
		{"com*", "com", Prefix},
		{"*", "", Prefix},
		{"com.*.x", "com..x", Wildcard},
		{"*.x", ".x", Wildcard},
		{"*.*", ".", Wildcard},
		{"com.*.*", "com..", Wildcard},
		{"", "", Exact},
	}
	for _, tt := range tests {
		if uri, match := Starred(tt.uri); uri != tt.want || match != tt.match {
			t.Errorf("%q: got %q, %d; want %q, %d", tt.uri, uri, match, tt.want, tt.match)
		}
	}
}

func TestDecide(t *testing.T) {
	set := NewSet([]Rule{
		starred("*", Call),
		starred("com.example.*", Publish),
		starred("com.example.news.*", Subscribe),
		starred("com.example.news", Register), // exact
		starred("com.*.news.*", Publish, Subscribe),
		starred("com.*.news.today", Call, Subscribe),
		starred("com.*.*.today", Register),
		starred("com.*.news.today", Publish), // later of equals: never reached
		starred("denied.*"),
	})
	tests := []struct {
		uri  string
		want []Action
	}{
		{"anything", []Action{Call}},
		{"com.example", []Action{Call}},
		{"com.example.x", []Action{Publish}},
		{"com.example.x.y", []Action{Publish}},
		{"com.example.news", []Action{Register}},
		{"com.example.news.y", []Action{Publish, Subscribe}},
		{"com.example.news.y.z", []Action{Subscribe}},
		{"com.example.news.today", []Action{Call, Subscribe}},
		{"com.example.x.today", []Action{Register}},
		{"com.other.news.z", []Action{Publish, Subscribe}},
		{"denied.x", nil},
		{"denied", []Action{Call}},
	}
	for _, tt := range tests {
		got := set.Decide(tt.uri).Allow
		for action := Call; action <= Subscribe; action++ {
			want := false
			for _, a := range tt.want {
				want = want || a == action
			}
			if got[action] != want {
				t.Errorf("%s %s: got %v", action, tt.uri, got[action])
			}
		}
	}
}

// TestDecideOrder wants the answer to be independent of the order of the rules.
func TestDecideOrder(t *testing.T) {
	short, long := starred("a.*"), starred("a.b.*", Publish)
	for _, rules := range [][]Rule{{short, long}, {long, short}} {
		if set := NewSet(rules); !set.Decide("a.b.c").Allow[Publish] || set.Decide("a.c").Allow[Publish] {
			t.Errorf("%v: the longer prefix does not decide", rules)
		}
	}
}

func TestNoRules(t *testing.T) {
	var none *Set
	for _, set := range []*Set{none, NewSet(nil)} {
		for _, match := range []Match{Exact, Prefix, Wildcard} {
			if set.Allows(Publish, "a", match) || set.Allows(Subscribe, "", match) {
				t.Error("allowed without a rule")
			}
		}
	}
}

func TestAllows(t *testing.T) {
	sub := Subscribe
	tests := []struct {
		name    string
		rules   []Rule
		pattern string
		match   Match
		want    bool
	}{
		{"exact rule", []Rule{starred("a.b", sub)}, "a.b", Exact, true},
		{"exact rule, prefix of it", []Rule{starred("a.b", sub)}, "a.b", Prefix, false},
		{"exact rule, wildcard equal to it", []Rule{starred("a.b", sub)}, "a.b", Wildcard, false},
		{"same prefix", []Rule{starred("a.*", sub)}, "a.", Prefix, true},
		{"longer prefix", []Rule{starred("a.*", sub)}, "a.b", Prefix, true},
		{"shorter prefix", []Rule{starred("a.b.*", sub)}, "a.", Prefix, false},
		{"everything", []Rule{starred("*", sub)}, "", Prefix, true},
		{"prefix without the dot", []Rule{starred("a.*", sub)}, "a", Prefix, false},
		{"wildcard rule, prefix", []Rule{starred("a.*.*", sub)}, "a.", Prefix, false},
		{"same wildcard", []Rule{starred("a.*.c", sub)}, "a..c", Wildcard, true},
		{"narrower wildcard", []Rule{starred("a.*.*", sub)}, "a..c", Wildcard, true},
		{"narrower wildcard without blanks", []Rule{starred("a.*.c", sub)}, "a.b.c", Wildcard, true},
		{"wider wildcard", []Rule{starred("a.*.c", sub)}, "a..", Wildcard, false},
		{"wildcard with more components", []Rule{starred("a.*.c", sub)}, "a...c", Wildcard, false},
		{"prefix rule, wildcard", []Rule{starred("a.*", sub)}, "a..c", Wildcard, true},
		{"prefix rule within the head", []Rule{starred("a.b*", sub)}, "a.bc.", Wildcard, true},
		{"prefix rule beyond the head", []Rule{starred("a.b.*", sub)}, "a..c", Wildcard, false},
		{"wildcard with blank head", []Rule{starred("a.*", sub)}, ".b", Wildcard, false},
		{"deny exact inside", []Rule{starred("a.*", sub), starred("a.secret")}, "a.", Prefix, false},
		{"deny exact outside", []Rule{starred("a.*", sub), starred("b.secret")}, "a.", Prefix, true},
		{"deny prefix inside", []Rule{starred("a.*", sub), starred("a.secret.*")}, "a.", Prefix, false},
		{"deny prefix beside", []Rule{starred("a.*", sub), starred("a.secret.*")}, "a.open.", Prefix, true},
		{"deny prefix around", []Rule{starred("*"), starred("a.*", sub)}, "a.", Prefix, true},
		{"deny wildcard inside", []Rule{starred("a.*", sub), starred("a.*.secret")}, "a.b.", Prefix, false},
		{"deny wildcard beside", []Rule{starred("a.*", sub), starred("b.*.secret")}, "a.", Prefix, true},
		{"deny prefix, wildcard", []Rule{starred("a.*", sub), starred("a.x.s*")}, "a..", Wildcard, false},
		{"deny prefix, wildcard beside", []Rule{starred("a.*", sub), starred("a.x.s*")}, "a..t", Wildcard, true},
		{"deny weaker wildcard", []Rule{starred("a.*.c", sub), starred("a.*.*")}, "a..c", Wildcard, true},
		{"deny stronger wildcard", []Rule{starred("a.*.*", sub), starred("a.b.*.*"), starred("a.*.c")}, "a..", Wildcard, false},
		{"deny longer covering prefix", []Rule{starred("*", sub), starred("a.*")}, "a.b.", Prefix, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := NewSet(tt.rules).Allows(Subscribe, tt.pattern, tt.match); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// universe is all URIs of up to three components of a small alphabet.
func universe() []string {
	components := []string{"a", "b", "ab"}
	var uris, last []string
	last = append(last, components...)
	for range 3 {
		uris = append(uris, last...)
		var next []string
		for _, head := range last {
			for _, c := range components {
				next = append(next, head+"."+c)
			}
		}
		last = next
	}
	return uris
}

// FuzzAllows reads rules and a pattern from text ("a.*+ ab.b-|a.:1") and wants
// that what is allowed for a pattern is allowed for each URI that it matches.
func FuzzAllows(f *testing.F) {
	f.Add("*+ a.*- a.b+", "a.", uint8(1))
	f.Add("a.*.*+ a.*.b-", "a..b", uint8(2))
	f.Add("a.*.b+ a.b.*-", "a..", uint8(2))
	f.Add("ab*+ a*- .b+", "ab", uint8(1))
	f.Add("*+ *.b- *.*.ab+", "", uint8(1))
	uris := universe()
	f.Fuzz(func(t *testing.T, text, pattern string, kind uint8) {
		match := []Match{Exact, Prefix, Wildcard}[kind%3]
		var rules []Rule
		for word := range strings.FieldsSeq(text) {
			r := starred(strings.TrimRight(word, "+-"))
			r.Allow[Subscribe] = strings.HasSuffix(word, "+")
			rules = append(rules, r)
		}
		set := NewSet(rules)
		if !set.Allows(Subscribe, pattern, match) {
			return
		}
		for _, uri := range uris {
			if matched(uri, pattern, match) && !set.Decide(uri).Allow[Subscribe] {
				t.Errorf("rules %q allow the pattern %q (%d), but not %q", text, pattern, match, uri)
			}
		}
	})
}

// matched asks the router's own matching.
func matched(uri, pattern string, match Match) bool {
	switch match {
	case Prefix:
		return wamp.URI(uri).PrefixMatch(wamp.URI(pattern))
	case Wildcard:
		return wamp.URI(uri).WildcardMatch(wamp.URI(pattern))
	}
	return uri == pattern
}

// FuzzMatches compares the rules' matching with the router's.
func FuzzMatches(f *testing.F) {
	f.Add("a..c", "a.b.c")
	f.Add(".", "a.b")
	f.Add("", "a")
	f.Fuzz(func(t *testing.T, pattern, uri string) {
		for _, match := range []Match{Prefix, Wildcard} {
			got := NewSet([]Rule{rule(pattern, match, Publish)}).Decide(uri).Allow[Publish]
			if want := matched(uri, pattern, match); got != want {
				t.Errorf("pattern %q (%d), uri %q: got %v, the router says %v", pattern, match, uri, got, want)
			}
		}
	})
}
