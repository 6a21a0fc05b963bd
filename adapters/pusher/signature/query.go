package signature

import (
	"slices"
	"strings"
)

// Parameter is one parameter of a query string, decoded.
type Parameter struct {
	Name  string // in lower case
	Value string
}

// Query is a query string's parameters in the order that is signed: by name, and
// as they came where names are equal.
type Query []Parameter

// ParseQuery decodes a query string: pairs between ampersands, percent escapes,
// and the plus sign for a blank. Semicolons mean nothing: they are legal in the
// names of channels. An escape that is malformed stays as it is.
func ParseQuery(raw string) Query {
	q := make(Query, 0, 8)
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		q = append(q, Parameter{lower(unescape(name)), unescape(value)})
	}
	slices.SortStableFunc(q, func(a, b Parameter) int { return strings.Compare(a.Name, b.Name) })
	return q
}

// Get returns the first value of a parameter, "" if there is none.
func (q Query) Get(name string) string {
	value, _ := q.Find(name)
	return value
}

// Find returns the first value of a parameter and whether there is one.
func (q Query) Find(name string) (value string, ok bool) {
	for i := range q {
		if q[i].Name == name {
			return q[i].Value, true
		}
	}
	return "", false
}

// All returns every value of a parameter, in the order in which they came.
func (q Query) All(name string) []string {
	var values []string
	for i := range q {
		if q[i].Name == name {
			values = append(values, q[i].Value)
		}
	}
	return values
}

// The parameters that authenticate a request.
const (
	ParameterKey       = "auth_key"
	ParameterTimestamp = "auth_timestamp"
	ParameterVersion   = "auth_version"
	ParameterSignature = "auth_signature"
	ParameterBodyMD5   = "body_md5"
)

// AppendStringToSign appends what the signature of a request covers. method is in
// upper case; path has no prefix of a proxy.
func (q Query) AppendStringToSign(text []byte, method, path string) []byte {
	text = append(text, method...)
	text = append(text, '\n')
	text = append(text, path...)
	text = append(text, '\n')
	first := true
	for i := range q {
		if q[i].Name == ParameterSignature {
			continue
		}
		if !first {
			text = append(text, '&')
		}
		first = false
		text = append(text, q[i].Name...)
		text = append(text, '=')
		text = append(text, q[i].Value...)
	}
	return text
}

// lower is strings.ToLower for ASCII alone: other letters are signed as they are.
func lower(text string) string {
	for i := 0; i < len(text); i++ {
		if c := text[i]; 'A' <= c && c <= 'Z' {
			b := []byte(text)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return text
}

func unescape(text string) string {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '+') < 0 {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '+':
			b = append(b, ' ')
		case '%':
			if i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]) {
				b = append(b, hexValue(text[i+1])<<4|hexValue(text[i+2]))
				i += 2
				continue
			}
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}
