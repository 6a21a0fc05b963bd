package crossbar

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
)

// explain logs why a signature may not match. Of the signatures it shows the
// beginning only, and nothing of the secret.
func (x *exchange) explain(result verified, body []byte) {
	received := x.query.signature.value
	digest := sha256.Sum256(body)
	attributes := []any{
		"key", clip(x.query.key.value), "client", x.from.Addr,
		"key_length", len(x.query.key.value), "timestamp_length", len(x.query.timestamp.value),
		"seq_length", len(x.query.seq.value), "nonce_length", len(x.query.nonce.value),
		"body_length", len(body), "body_sha256", hex.EncodeToString(digest[:]),
		"received", beginning(received),
	}
	if result.sender == nil {
		x.log.Info("a request was signed with an unknown key", attributes...)
		return
	}
	attributes = append(attributes, "computed", beginning(base64.URLEncoding.EncodeToString(result.mac[:])))
	if hints := x.hints(result.sender, received, body); len(hints) > 0 {
		attributes = append(attributes, "hints", strings.Join(hints, "; "))
	}
	x.log.Info("a signature does not match", attributes...)
}

// beginning is as much of a signature as may be shown.
func beginning(signature string) string { return signature[:min(len(signature), 8)] }

// hints are guesses at the mistake, tried out with each secret of the key.
func (x *exchange) hints(from *sender, received string, body []byte) []string {
	var hints []string
	add := func(applies bool, hint string) {
		if applies {
			hints = append(hints, hint)
		}
	}
	add(isHexText(received, sha256.Size), "received value is hex: encode the 32 bytes of the MAC as URL-safe base64")
	if inner, err := base64.StdEncoding.DecodeString(received); err == nil {
		add(isHexText(string(inner), sha256.Size), "received value is base64 of hex: encode the 32 bytes of the MAC, not their hex text")
	}
	add(strings.ContainsAny(received, "+/ "), "standard alphabet: fine here, but Crossbar wants - and _ for + and /")
	claimed, readable := decodeSignature(received)
	if !readable {
		return hints
	}
	matches := func(p Parameters, body []byte) bool {
		for _, s := range from.secrets {
			if mac, _ := s.sign(nil, p, body); hmac.Equal(mac[:], claimed[:]) {
				return true
			}
		}
		return false
	}
	p := x.query.parameters()
	barred := Parameters{Key: p.Key + "|", Timestamp: p.Timestamp + "|", Seq: p.Seq + "|", Nonce: p.Nonce + "|"}
	add(matches(barred, body), "matches with bars between the parts: nothing stands between them")
	if trimmed := bytes.TrimRight(body, "\r\n"); len(trimmed) < len(body) {
		add(matches(p, trimmed), "matches without the line break at the end of the body: sign the body as it is sent")
	}
	for _, other := range reserialized(body) {
		add(!bytes.Equal(other, body) && matches(p, other), "matches with re-serialised JSON: sign the body as it is sent")
	}
	return hints
}

// isHexText reports whether text is n bytes in hexadecimal.
func isHexText(text string, n int) bool {
	decoded, err := hex.DecodeString(text)
	return err == nil && len(decoded) == n
}

// reserialized is the body's JSON as common libraries write it: compact, and
// with a blank behind commas and colons.
func reserialized(body []byte) [][]byte {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		return nil
	}
	var spaced []byte
	inString := false
	for i, c := range compact.Bytes() {
		spaced = append(spaced, c)
		switch {
		case c == '"' && !escaped(compact.Bytes(), i):
			inString = !inString
		case !inString && (c == ',' || c == ':'):
			spaced = append(spaced, ' ')
		}
	}
	return [][]byte{compact.Bytes(), spaced}
}

// escaped reports whether an odd number of backslashes stands before place i.
func escaped(text []byte, i int) bool {
	backslashes := 0
	for i--; i >= 0 && text[i] == '\\'; i-- {
		backslashes++
	}
	return backslashes%2 == 1
}
