package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// The headers of the signature.
const (
	headerKey       = "X-Pusher-Key"
	headerSignature = "X-Pusher-Signature"
)

// stale is how far the time of a body may be from that of its attempt. Receivers
// take it for a replay beyond 300 s.
const stale = 290 * time.Second

// newBody makes the body of a request. Its time is that of the newest event, so
// that a repeated attempt sends the same bytes, unless receivers would discard it.
func newBody(events []prepared, now time.Time) []byte {
	size, newest := len(`{"time_ms":0123456789012,"events":[]}`), int64(0)
	for _, e := range events {
		size += len(e.json) + 1
		newest = max(newest, e.time)
	}
	if age := now.Sub(time.UnixMilli(newest)); age > stale || age < -stale {
		newest = now.UnixMilli()
	}
	body := make([]byte, 0, size)
	body = append(body, `{"time_ms":`...)
	body = strconv.AppendInt(body, newest, 10)
	body = append(body, `,"events":[`...)
	for i, e := range events {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, e.json...)
	}
	return append(body, `]}`...)
}

// sign is the signature of a body.
func sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
