package crossbar

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// maxDepth is how deep lists and objects may be nested, the outermost counted.
const maxDepth = 200

var (
	errSyntax = errors.New("no JSON")
	errDepth  = errors.New("nested too deep")
)

// scanner walks a JSON text once, strictly by RFC 8259, and finds where values
// begin and end without building them. Stricter than encoding/json, it refuses
// bytes that are not UTF-8, halves of surrogate pairs, and deep nesting.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// value is a JSON value as it is written.
type value struct {
	// kind is the first character: { [ " t f n, or kindNumber. Of a value that is
	// absent it is kindAbsent.
	kind byte
	text []byte
	// empty says that a list, an object or a string has nothing in it.
	empty bool
}

const (
	kindAbsent = 0
	kindNumber = '0'
)

// visitor sees the members of an object, keys with their quotes, or the entries
// of a list, with nil keys.
type visitor func(key []byte, v value) error

// document reads one value with nothing but white space around it. If it is an
// object or a list, visit sees what is in it; it may be nil.
func (s *scanner) document(visit visitor) (value, error) {
	v, err := s.value(visit)
	if err != nil {
		return v, err
	}
	if s.next() != 0 || s.pos < len(s.data) {
		return v, errSyntax
	}
	return v, nil
}

// next skips white space and returns the byte behind it, 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// value reads one value.
func (s *scanner) value(visit visitor) (value, error) {
	v := value{kind: s.next()}
	start := s.pos
	var err error
	switch v.kind {
	case '{', '[':
		v.empty, err = s.composite(v.kind, visit)
	case '"':
		err = s.string()
		v.empty = s.pos-start == len(`""`)
	case 't':
		err = s.word("true")
	case 'f':
		err = s.word("false")
	case 'n':
		err = s.word("null")
	default:
		v.kind = kindNumber
		err = s.number()
	}
	v.text = s.data[start:s.pos]
	return v, err
}

// composite reads an object or a list.
func (s *scanner) composite(kind byte, visit visitor) (empty bool, err error) {
	if s.depth++; s.depth > maxDepth {
		return false, errDepth
	}
	s.pos++
	closing := kind + 2 // in ASCII both brackets close two places behind
	if s.next() == closing {
		s.pos++
		s.depth--
		return true, nil
	}
	for {
		var key []byte
		if kind == '{' {
			if key, err = s.key(); err != nil {
				return false, err
			}
		}
		v, err := s.value(nil)
		if err != nil {
			return false, err
		}
		if visit != nil {
			if err := visit(key, v); err != nil {
				return false, err
			}
		}
		switch s.next() {
		case ',':
			s.pos++
		case closing:
			s.pos++
			s.depth--
			return false, nil
		default:
			return false, errSyntax
		}
	}
}

// key reads a member's name and the colon.
func (s *scanner) key() ([]byte, error) {
	if s.next() != '"' {
		return nil, errSyntax
	}
	start := s.pos
	if err := s.string(); err != nil {
		return nil, err
	}
	key := s.data[start:s.pos]
	if s.next() != ':' {
		return nil, errSyntax
	}
	s.pos++
	return key, nil
}

func (s *scanner) word(word string) error {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		return errSyntax
	}
	s.pos += len(word)
	return nil
}

// string reads a string from its opening quote on.
func (s *scanner) string() error {
	start, i, ascii := s.pos, s.pos+1, true
	for {
		i += plain(s.data[i:])
		if i == len(s.data) {
			return errSyntax
		}
		switch c := s.data[i]; {
		case c == '"':
			s.pos = i + 1
			if !ascii && !utf8.Valid(s.data[start:s.pos]) {
				return errSyntax
			}
			return nil
		case c == '\\':
			n := escape(s.data[i:])
			if n == 0 {
				return errSyntax
			}
			i += n
		case c >= utf8.RuneSelf:
			ascii = false
			i++
		default:
			return errSyntax // a control character
		}
	}
}

// plain counts the bytes that text begins with and that stand for themselves.
func plain(text []byte) int {
	for i, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return i
		}
	}
	return len(text)
}

// escape returns the length of the escape that text begins with, 0 if it is
// none. A surrogate pair is one escape.
func escape(text []byte) int {
	if len(text) < len(`\n`) {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return len(`\n`)
	case 'u':
	default:
		return 0
	}
	const single = len(`\u0000`)
	unit, ok := codeUnit(text)
	switch {
	case !ok || 0xDC00 <= unit && unit <= 0xDFFF:
		return 0
	case unit < 0xD800 || unit > 0xDBFF:
		return single
	}
	if low, ok := codeUnit(text[single:]); !ok || low < 0xDC00 || low > 0xDFFF {
		return 0
	}
	return 2 * single
}

// codeUnit reads \uXXXX.
func codeUnit(text []byte) (unit rune, ok bool) {
	if len(text) < len(`\u0000`) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:6] {
		if !isHex(c) {
			return 0, false
		}
		unit = unit<<4 | rune(hexValue(c))
	}
	return unit, true
}

// number reads a number.
func (s *scanner) number() error {
	rest := s.data[s.pos:]
	at := func(i int) byte {
		if i < len(rest) {
			return rest[i]
		}
		return 0
	}
	run := func(i int) int { // the end of the digits from i on
		for at(i) >= '0' && at(i) <= '9' {
			i++
		}
		return i
	}
	i := 0
	if at(i) == '-' {
		i++
	}
	whole := run(i)
	if whole == i || at(i) == '0' && whole > i+1 {
		return errSyntax
	}
	i = whole
	if at(i) == '.' {
		end := run(i + 1)
		if end == i+1 {
			return errSyntax
		}
		i = end
	}
	if at(i) == 'e' || at(i) == 'E' {
		i++
		if at(i) == '+' || at(i) == '-' {
			i++
		}
		end := run(i)
		if end == i {
			return errSyntax
		}
		i = end
	}
	s.pos += i
	return nil
}

// falsy reports whether a value counts as absent, as it does in the language of
// the reference: null, false, zero, and everything empty.
func (v value) falsy() bool {
	switch v.kind {
	case kindAbsent, 'n', 'f':
		return true
	case kindNumber:
		for _, c := range v.text {
			switch {
			case c == 'e' || c == 'E':
				return true
			case '1' <= c && c <= '9':
				return false
			}
		}
		return true
	}
	return v.empty
}

// given reports whether an option is present and not null.
func (v value) given() bool { return v.kind != kindAbsent && v.kind != 'n' }

// unquote returns what a string that was scanned stands for; nil stays nil.
func unquote(quoted []byte) []byte {
	if quoted == nil {
		return nil
	}
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var text string
	_ = json.Unmarshal(quoted, &text) // the scanner found it valid
	return []byte(text)
}
