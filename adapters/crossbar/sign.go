package crossbar

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/url"
	"strings"
)

// Parameters are the query parameters that a signature covers, as text before
// URL encoding. Their exact text counts: "7" and "07" are different.
type Parameters struct {
	// Key names the secret.
	Key string
	// Timestamp is UTC, "2006-01-02T15:04:05.000Z".
	Timestamp string
	// Seq and Nonce are decimal integers of at most 40 digits.
	Seq, Nonce string
}

// Sign makes the query string of a signed request, without the question mark:
// key, timestamp, seq, nonce and signature in this order, URL-encoded. It also
// returns the signature alone. body is what the request carries, byte for byte.
func Sign(secret string, p Parameters, body []byte) (query, signature string) {
	mac := hmac.New(sha256.New, []byte(secret))
	writeSigned(mac, nil, p, body)
	signature = base64.URLEncoding.EncodeToString(mac.Sum(nil))
	var b strings.Builder
	for _, part := range []struct{ name, value string }{
		{"key=", p.Key}, {"&timestamp=", p.Timestamp}, {"&seq=", p.Seq}, {"&nonce=", p.Nonce}, {"&signature=", signature},
	} {
		b.WriteString(part.name)
		b.WriteString(url.QueryEscape(part.value))
	}
	return b.String(), signature
}

// writeSigned feeds to mac what a signature covers: the parameters and the body
// with nothing in between. scratch is room for the parameters; it is returned,
// perhaps grown.
func writeSigned(mac hash.Hash, scratch []byte, p Parameters, body []byte) []byte {
	scratch = append(scratch[:0], p.Key...)
	scratch = append(scratch, p.Timestamp...)
	scratch = append(scratch, p.Seq...)
	scratch = append(scratch, p.Nonce...)
	mac.Write(scratch)
	mac.Write(body)
	return scratch
}

// signature is a MAC.
type signature = [sha256.Size]byte

// decodeSignature reads a signature as it came, after URL decoding. It takes the
// standard alphabet for the URL-safe one, a blank for the plus sign that was
// not escaped, and does without padding. What is no signature at all is ok
// false.
func decodeSignature(text string) (received signature, ok bool) {
	text = strings.TrimRight(text, "=")
	if len(text) != base64.RawURLEncoding.EncodedLen(len(received)) {
		return received, false
	}
	var normal [43]byte
	for i := range normal {
		switch c := text[i]; c {
		case ' ', '+':
			normal[i] = '-'
		case '/':
			normal[i] = '_'
		default:
			normal[i] = c
		}
	}
	// The decoder skips line breaks, which shows in the length.
	n, err := base64.RawURLEncoding.Strict().Decode(received[:], normal[:])
	return received, err == nil && n == len(received)
}
