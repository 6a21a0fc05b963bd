package rest

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
)

// checkLength refuses a body that says of itself that it is too long.
func (x *exchange) checkLength() *fault {
	if x.request.ContentLength > x.live.bodyLimit {
		return tooLong()
	}
	return nil
}

// readBody reads the body into the exchange's buffer and compares it with its
// signed MD5. Of one over the limit it reads one byte more than the limit.
func (x *exchange) readBody() *fault {
	b := &x.buffers.body
	n, err := b.ReadFrom(io.LimitReader(x.request.Body, x.live.bodyLimit+1))
	if n > x.live.bodyLimit {
		return tooLong()
	}
	if err != nil {
		return brokenBody(err)
	}
	return checkMD5(x.query, b)
}

func tooLong() *fault {
	return &fault{status: http.StatusRequestEntityTooLarge, reason: reasonTooLong, text: "Request body too large", closes: true}
}

func brokenBody(err error) *fault {
	f := &fault{status: http.StatusBadRequest, reason: reasonBody, text: "The request body could not be read", closes: true, cause: err}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		f.status, f.text = http.StatusRequestTimeout, "The request body did not arrive in time"
	}
	return f
}

// checkMD5 binds the body to the signature, which covers the MD5.
func checkMD5(query signature.Query, body *bytes.Buffer) *fault {
	claimed, given := query.Find(signature.ParameterBodyMD5)
	if !given && body.Len() == 0 {
		return nil
	}
	if !given {
		return unauthorized(reasonMD5, "Missing parameter: body_md5")
	}
	sum := md5.Sum(body.Bytes())
	var right [2 * md5.Size]byte
	hex.Encode(right[:], sum[:])
	if string(right[:]) != claimed {
		return unauthorized(reasonMD5, "body_md5 does not match the request body")
	}
	return nil
}
