package crossbar

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestParseQuery(t *testing.T) {
	present := func(value string) parameter { return parameter{value: value, present: true} }
	for raw, want := range map[string]query{
		"":                        {},
		"&&":                      {},
		"key=a&seq=1":             {key: present("a"), seq: present("1")},
		"key=a&key=b":             {key: present("a")},
		"key=&key=b":              {key: present("")},
		"key":                     {key: present("")},
		"key=a+b%2Bc%20d":         {key: present("a b+c d")},
		"k%65y=a":                 {key: present("a")},
		"Key=a&keys=b":            {},
		"key=a=b":                 {key: present("a=b")},
		"key=a;seq=1":             {key: present("a;seq=1")},
		"key=%C3%BC":              {key: present("ü")},
		"key=%c3%bc":              {key: present("ü")},
		"key=%zz":                 {key: parameter{value: "%zz", present: true, malformed: true}},
		"key=a%":                  {key: parameter{value: "a%", present: true, malformed: true}},
		"key=%4":                  {key: parameter{value: "%4", present: true, malformed: true}},
		"x=%zz&nonce=7&timestamp": {nonce: present("7"), timestamp: present("")},
		"signature=a%3D&=5":       {signature: present("a=")},
	} {
		if got := parseQuery(raw); got != want {
			t.Errorf("%s: %+v, want %+v", raw, got, want)
		}
	}
}

func TestParseTimestamp(t *testing.T) {
	for text, want := range map[string]string{
		"2015-03-24T15:38:12Z":           "2015-03-24T15:38:12Z",
		"2015-03-24T15:38:12.Z":          "2015-03-24T15:38:12Z",
		"2015-03-24T15:38:12.5Z":         "2015-03-24T15:38:12.5Z",
		"2015-03-24T15:38:12.589001Z":    "2015-03-24T15:38:12.589001Z",
		"2015-03-24T15:38:12.123456789Z": "2015-03-24T15:38:12.123456789Z",
		"2016-02-29T00:00:00.000Z":       "2016-02-29T00:00:00Z",
		"2015-03-24T15:38:12":            "", "2015-03-24T15:38:12.1234567890Z": "", "2015-03-24T15:38:12,5Z": "",
		"2015-03-24t15:38:12Z": "", "2015-03-24T15:38:12z": "", "2015-03-24 15:38:12Z": "", "2015-03-24T5:38:12Z": "", "2015-03-24T5:38:12.1Z": "",
		"2015-02-29T00:00:00Z": "", "2015-13-01T00:00:00Z": "", "2015-03-24T24:00:00Z": "", "2015-03-24T15:38:60Z": "",
		"2015-03-24T15:38:12+00:00": "", "2015-03-24T15:38:12.5+01:00Z": "", "": "", "Z": "", " 2015-03-24T15:38:12Z": "", "2015-03-24T15:38:12.5 Z": "",
		"２015-03-24T15:38:12Z": "", "2015-03-24T15:38:12.5Zx": "",
	} {
		got, ok := parseTimestamp(text)
		if want == "" {
			if ok {
				t.Errorf("%q was read as %s", text, got)
			}
			continue
		}
		if expected, _ := time.Parse(time.RFC3339Nano, want); !ok || !got.Equal(expected) {
			t.Errorf("%q: %s, %v", text, got, ok)
		}
	}
}

func TestIsInteger(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "-1": true, "+7": true, "007": true, strings.Repeat("9", 40): true, "-" + strings.Repeat("9", 40): true,
		"": false, "-": false, "+": false, "--1": false, "1.0": false, " 1": false, "1 ": false, "4_2": false, "٣": false, "1e3": false, "0x1": false,
		strings.Repeat("9", 41): false, "abc": false, "1\n": false,
	} {
		if got := isInteger(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestDecodeSignature(t *testing.T) {
	const good = "9ILPwinH73pp7MUA_0VV-qbnz3mD69lCHg0hTbSGu9o"
	want, ok := decodeSignature(good)
	if !ok {
		t.Fatal("unpadded")
	}
	for _, same := range []string{good + "=", good + "==", strings.NewReplacer("_", "/", "-", "+").Replace(good), strings.ReplaceAll(good, "-", " ") + "="} {
		if got, ok := decodeSignature(same); !ok || got != want {
			t.Errorf("%q: %v", same, ok)
		}
	}
	for _, bad := range []string{"", "=", good[:42], good + "A", good[:42] + "\n", good[:42] + "p", good[:20] + "\r" + good[21:], good[:42] + "!", good[:42] + "é"} {
		if _, ok := decodeSignature(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestClip(t *testing.T) {
	if got := clip("short"); got != "short" {
		t.Error(got)
	}
	long := strings.Repeat("ü", 100)
	if got := clip(long); got != strings.Repeat("ü", 50)+"…" {
		t.Error(got)
	}
}

// FuzzQuery holds the parser against net/url where both agree by contract.
func FuzzQuery(f *testing.F) {
	f.Add("key=foobar&timestamp=2015-03-24T15%3A38%3A12.589Z&seq=1&nonce=42&signature=TJqs%3D")
	f.Add("key=a;b&key=%zz&seq=+1+&nonce")
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw)
		if _, wrong := q.check(true, time.Unix(0, 0), time.Second); wrong != nil && wrong.status != 400 {
			t.Errorf("status %d", wrong.status)
		}
		values, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		for _, name := range []string{"key", "timestamp", "seq", "nonce", "signature"} {
			p := q.named(name)
			if values.Has(name) != p.present || values.Get(name) != p.value || p.malformed {
				t.Errorf("%s of %q: %+v, want %q", name, raw, *p, values.Get(name))
			}
		}
	})
}
