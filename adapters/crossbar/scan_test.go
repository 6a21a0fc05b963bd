package crossbar

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestScanAccepts(t *testing.T) {
	for _, text := range []string{
		`{}`, `[]`, `""`, `0`, `-0`, `1.5e+10`, `1E-2`, `0.0`, `true`, `false`, `null`, " \t\r\n1 \n",
		`[1,[2,{"a":[]}],"x"]`, `{"a":{"b":1},"a":2}`, `"\"\\\/\b\f\n\r\t\u00fc"`, `"\ud83d\ude00"`, `"ü中😀"`,
		`123456789012345678901234567890`, `1e999`,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
		strings.Repeat(`{"a":`, maxDepth-1) + "{}" + strings.Repeat("}", maxDepth-1),
	} {
		s := scanner{data: []byte(text)}
		v, err := s.document(nil)
		if err != nil {
			t.Errorf("%.60q: %v", text, err)
		}
		if string(v.text) != strings.TrimSpace(text) {
			t.Errorf("%.60q: found %.60q", text, v.text)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	for _, text := range []string{
		``, ` `, `{`, `[`, `"`, `}`, `]`, `{]`, `[}`, `[1`, `[1,`, `[1,]`, `[,1]`, `[1 2]`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{1:1}`, `{"a" 1}`,
		`01`, `-`, `+1`, `.5`, `1.`, `1e`, `1e+`, `--1`, `0x1`, `NaN`, `Infinity`, `-Infinity`, `tru`, `True`, `nul`, `falsey`,
		`'a'`, `"a`, `"\x"`, `"\u12"`, `"\u12g4"`, "\"\x01\"", "\"\n\"", `"\`, `"\"`,
		`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\ud800x"`, `"\ud800\n"`, `"\udc00\ud800"`, `"\ud800\u12"`,
		"\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"", "\"abc\xe9\"",
		"\xef\xbb\xbf{}", `{} x`, `{}{}`, "{}\x00", "\x00", "1\x00",
		`{"a":1 /* no */}`, `[1]]`, "\u00a01",
	} {
		s := scanner{data: []byte(text)}
		if _, err := s.document(nil); !errors.Is(err, errSyntax) {
			t.Errorf("%q: %v, want a syntax error", text, err)
		}
	}
	deep := strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)
	s := scanner{data: []byte(deep)}
	if _, err := s.document(nil); !errors.Is(err, errDepth) {
		t.Errorf("%d levels: %v", maxDepth+1, err)
	}
}

func TestScanVisits(t *testing.T) {
	s := scanner{data: []byte(`{ "a" : [1, 2] , "\u0062":{"x":null}, "c":"" }`)}
	var seen []string
	_, err := s.document(func(key []byte, v value) error {
		seen = append(seen, string(unquote(key))+"="+string(v.text))
		return nil
	})
	if got := strings.Join(seen, " "); err != nil || got != `a=[1, 2] b={"x":null} c=""` {
		t.Errorf("%s, %v", got, err)
	}
}

func TestFalsy(t *testing.T) {
	for text, want := range map[string]bool{
		`null`: true, `false`: true, `0`: true, `-0`: true, `0.00`: true, `0e5`: true, `""`: true, `[]`: true, `{}`: true, `[ ]`: true, "{\n}": true,
		`true`: false, `1`: false, `0.01`: false, `10`: false, `" "`: false, `[0]`: false, `[[]]`: false, `{"":0}`: false, `-1e0`: false,
	} {
		s := scanner{data: []byte(text)}
		if v, err := s.document(nil); err != nil || v.falsy() != want {
			t.Errorf("%s: falsy %v, %v", text, v.falsy(), err)
		}
	}
	if !(value{}).falsy() {
		t.Error("an absent value counts as given")
	}
}

// FuzzScan holds the scanner against encoding/json, which is laxer.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{`{"topic":"a","args":[1,2.5e3,"\ud83d\ude00"]}`, `[[[]]]`, `"\ud800"`, "\"\xff\"", `01`, `{"a":1,"a":2}`, `NaN`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := scanner{data: data}
		v, err := s.document(nil)
		switch {
		case err == nil:
			if !json.Valid(data) || !utf8.Valid(data) {
				t.Fatalf("accepted %q", data)
			}
			if v.kind == '"' {
				var want string
				if err := json.Unmarshal(v.text, &want); err != nil || string(unquote(v.text)) != want {
					t.Fatalf("%q is %q, want %q", v.text, unquote(v.text), want)
				}
			}
		case errors.Is(err, errSyntax) && json.Valid(data) && utf8.Valid(data) && !hasLoneSurrogate(data):
			t.Fatalf("refused %q", data)
		}
	})
}

// hasLoneSurrogate decodes the strings, where encoding/json puts U+FFFD for half
// a pair.
func hasLoneSurrogate(data []byte) bool {
	var v any
	_ = json.Unmarshal(data, &v)
	again, _ := json.Marshal(v)
	return strings.Contains(string(again), `\ufffd`) || strings.Contains(string(again), "\ufffd") || strings.Contains(strings.ToLower(string(data)), `\ud`)
}
