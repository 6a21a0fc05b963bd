package rest

import (
	"bytes"
	"encoding/json"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions of this file walk JSON that validObject found valid, and build
// nothing of it.

// validObject reports whether text is one JSON object in UTF-8.
func validObject(text []byte) bool {
	text = bytes.TrimLeft(text, blanks)
	return len(text) > 0 && text[0] == '{' && json.Valid(text) && utf8.Valid(text)
}

// blanks are what JSON allows between its parts.
const blanks = " \t\r\n"

// eachMember visits the members of an object; names are decoded.
func eachMember(object []byte, visit func(name, value []byte)) {
	i := skipBlanks(object, skipBlanks(object, 0)+1)
	for object[i] != '}' {
		end := skipString(object, i)
		name := unquote(object[i:end])
		i = skipBlanks(object, skipBlanks(object, end)+1) // behind the colon
		end = skipValue(object, i)
		visit(name, object[i:end])
		if i = skipBlanks(object, end); object[i] == ',' {
			i = skipBlanks(object, i+1)
		}
	}
}

// eachElement visits the elements of a list until visit returns false.
func eachElement(list []byte, visit func(value []byte) bool) {
	i := skipBlanks(list, skipBlanks(list, 0)+1)
	for list[i] != ']' {
		end := skipValue(list, i)
		if !visit(list[i:end]) {
			return
		}
		if i = skipBlanks(list, end); list[i] == ',' {
			i = skipBlanks(list, i+1)
		}
	}
}

// countElements counts the elements of a list.
func countElements(list []byte) int {
	n := 0
	eachElement(list, func([]byte) bool { n++; return true })
	return n
}

func skipBlanks(text []byte, i int) int {
	for text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n' {
		i++
	}
	return i
}

// skipString returns the place behind the string that begins at i.
func skipString(text []byte, i int) int {
	for i++; ; i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
}

// skipValue returns the place behind the value that begins at i.
func skipValue(text []byte, i int) int {
	switch text[i] {
	case '"':
		return skipString(text, i)
	case '{', '[':
		for depth := 0; ; {
			switch text[i] {
			case '"':
				i = skipString(text, i)
				continue
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
			i++
		}
	}
	for ; i < len(text); i++ {
		switch text[i] {
		case ',', '}', ']', ' ', '\t', '\r', '\n':
			return i
		}
	}
	return i
}

// unquote returns what a string stands for; the result may share its memory. Half
// of a surrogate pair stands for U+FFFD.
func unquote(quoted []byte) []byte {
	text := quoted[1 : len(quoted)-1]
	i := bytes.IndexByte(text, '\\')
	if i < 0 {
		return text
	}
	plain := append(make([]byte, 0, len(text)), text[:i]...)
	for i < len(text) {
		c := text[i]
		if c != '\\' {
			next := bytes.IndexByte(text[i:], '\\')
			if next < 0 {
				next = len(text) - i
			}
			plain = append(plain, text[i:i+next]...)
			i += next
			continue
		}
		i += len(`\n`)
		switch escape := text[i-1]; escape {
		case 'b':
			plain = append(plain, '\b')
		case 'f':
			plain = append(plain, '\f')
		case 'n':
			plain = append(plain, '\n')
		case 'r':
			plain = append(plain, '\r')
		case 't':
			plain = append(plain, '\t')
		case 'u':
			r := codeUnit(text[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if rest := text[i:]; len(rest) >= len(`\u0000`) && rest[0] == '\\' && rest[1] == 'u' {
					low = codeUnit(rest[2:])
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					i += len(`\u0000`)
				}
			}
			plain = utf8.AppendRune(plain, r)
		default: // a quote, a slash or a backslash
			plain = append(plain, escape)
		}
	}
	return plain
}

// codeUnit reads four hexadecimal digits.
func codeUnit(digits []byte) rune {
	var unit rune
	for _, c := range digits[:4] {
		switch {
		case c <= '9':
			c -= '0'
		default:
			c = c&0xf + 9
		}
		unit = unit<<4 | rune(c)
	}
	return unit
}
