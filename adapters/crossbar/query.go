package crossbar

import (
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// parameter is one query parameter. A parameter that is present may be empty.
type parameter struct {
	value     string
	present   bool
	malformed bool // a percent sign is not followed by two hexadecimal digits
}

// query is what the endpoint reads of a query string.
type query struct{ key, timestamp, seq, nonce, signature parameter }

// parseQuery decodes a query string as an HTML form: pairs between ampersands,
// percent escapes, and the plus sign for a blank. Of a repeated name the first
// counts; names that mean nothing here are skipped.
func parseQuery(raw string) query {
	var q query
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(name, "%+") {
			name, _ = unescape(name)
		}
		if p := q.named(name); p != nil && !p.present {
			p.present = true
			var ok bool
			p.value, ok = unescape(value)
			p.malformed = !ok
		}
	}
	return q
}

func (q *query) named(name string) *parameter {
	switch name {
	case "key":
		return &q.key
	case "timestamp":
		return &q.timestamp
	case "seq":
		return &q.seq
	case "nonce":
		return &q.nonce
	case "signature":
		return &q.signature
	}
	return nil
}

// parameters are those that a signature covers.
func (q *query) parameters() Parameters {
	return Parameters{Key: q.key.value, Timestamp: q.timestamp.value, Seq: q.seq.value, Nonce: q.nonce.value}
}

// unescape decodes percent escapes and plus signs. A malformed escape stays as it
// is and makes ok false.
func unescape(text string) (decoded string, ok bool) {
	if !strings.ContainsAny(text, "%+") {
		return text, true
	}
	b := make([]byte, 0, len(text))
	ok = true
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
			ok = false
			b = append(b, c)
		default:
			b = append(b, c)
		}
	}
	return string(b), ok
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

// check looks at the presence and the form of the parameters, in the protocol's
// order, and returns the time that the request gives; the zero Time if it gives
// none. limit is the greatest difference to now; zero means any.
func (q *query) check(signed bool, now time.Time, limit time.Duration) (time.Time, *fault) {
	if signed && !q.key.present {
		return time.Time{}, missing("'key' field missing")
	}
	given, wrong := q.checkTime(signed, now, limit)
	if wrong != nil {
		return given, wrong
	}
	if wrong := checkInteger(q.seq, signed, "seq", "sequence number"); wrong != nil {
		return given, wrong
	}
	if wrong := checkInteger(q.nonce, signed, "nonce", "nonce"); wrong != nil {
		return given, wrong
	}
	if !signed {
		return given, nil
	}
	if !q.signature.present {
		return given, missing("'signature' field missing")
	}
	for _, p := range []struct {
		parameter
		name string
	}{{q.key, "key"}, {q.signature, "signature"}} {
		if p.malformed {
			return given, invalid(fmt.Sprintf("malformed percent escape in '%s'", p.name))
		}
	}
	return given, nil
}

func (q *query) checkTime(signed bool, now time.Time, limit time.Duration) (time.Time, *fault) {
	if !q.timestamp.present {
		if signed {
			return time.Time{}, missing("signed request required, but mandatory 'timestamp' field missing")
		}
		return time.Time{}, nil
	}
	given, ok := parseTimestamp(q.timestamp.value)
	if !ok {
		return time.Time{}, invalid(fmt.Sprintf("invalid timestamp '%s' (must be UTC/ISO-8601, e.g. '2011-10-14T16:59:51.123Z')", clip(q.timestamp.value)))
	}
	if limit > 0 && now.Sub(given).Abs() > limit {
		return time.Time{}, &fault{code: codeExpired, status: http.StatusBadRequest, semantic: http.StatusUnauthorized,
			text: "Request expired, too old timestamp."}
	}
	return given, nil
}

func checkInteger(p parameter, signed bool, name, title string) *fault {
	switch {
	case !p.present && signed:
		return missing("'" + name + "' field missing")
	case p.present && !isInteger(p.value):
		return invalid(fmt.Sprintf("invalid %s '%s' (must be an integer)", title, clip(p.value)))
	}
	return nil
}

const (
	invalidSignature  = "REST bridge signature was invalid (%s)."
	maxDigits         = 40
	timestampLayout   = "2006-01-02T15:04:05Z"
	maxFractionDigits = 9
)

func missing(what string) *fault {
	return &fault{code: codeMissing, status: http.StatusBadRequest,
		text: fmt.Sprintf(invalidSignature, "missing mandatory field - "+what)}
}

func invalid(what string) *fault {
	return &fault{code: codeFormat, status: http.StatusBadRequest, text: fmt.Sprintf(invalidSignature, what)}
}

// isInteger reports whether text is an optional sign and 1 to 40 digits. The
// value may be beyond 64 bits.
func isInteger(text string) bool {
	if text != "" && (text[0] == '+' || text[0] == '-') {
		text = text[1:]
	}
	return text != "" && len(text) <= maxDigits && digits(text) == len(text)
}

// digits counts the ASCII digits that text begins with.
func digits(text string) int {
	n := 0
	for n < len(text) && '0' <= text[n] && text[n] <= '9' {
		n++
	}
	return n
}

// parseTimestamp reads "2006-01-02T15:04:05Z" with or without a fraction of a
// second. time.Parse alone would also take an hour of one digit, a comma, and
// fractions of any length.
func parseTimestamp(text string) (time.Time, bool) {
	const whole = len("2006-01-02T15:04:05")
	if len(text) <= whole || text[len(text)-1] != 'Z' {
		return time.Time{}, false
	}
	if fraction := text[whole : len(text)-1]; fraction != "" {
		if fraction[0] != '.' || len(fraction) > 1+maxFractionDigits || digits(fraction[1:]) != len(fraction)-1 {
			return time.Time{}, false
		}
		if fraction == "." {
			text = text[:whole] + "Z"
		}
	}
	if text[whole-len(":04:05")] != ':' {
		return time.Time{}, false
	}
	parsed, err := time.Parse(timestampLayout, text)
	return parsed, err == nil
}

// clip shortens a text that a client sent for an answer or a log line.
func clip(text string) string {
	const enough = 100
	if len(text) <= enough {
		return text
	}
	cut := enough
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
