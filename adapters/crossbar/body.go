package crossbar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// readBody reads the request's body into b. Of a body over the limit it reads
// one byte more than the limit at most; of one that says so beforehand, nothing.
func (l *live) readBody(b *bytes.Buffer, r *http.Request) *fault {
	if r.ContentLength > l.bodyLimit {
		return tooLong(r.ContentLength, l.bodyLimit)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, l.bodyLimit+1))
	switch {
	case n > l.bodyLimit:
		return tooLong(n, l.bodyLimit)
	case err == nil:
		return nil
	case errors.Is(err, io.ErrUnexpectedEOF) && r.ContentLength > 0:
		return &fault{code: codeLength, status: http.StatusBadRequest, closes: true,
			text: fmt.Sprintf("Body length (%d) is different to Content-Length header (%d).", n, r.ContentLength)}
	case isTimeout(err):
		return &fault{code: codeSlowBody, status: http.StatusRequestTimeout, closes: true, text: "The request body did not arrive in time."}
	}
	return &fault{code: codeMalformed, status: http.StatusBadRequest, closes: true, text: "Malformed request to the REST bridge."}
}

func tooLong(length, limit int64) *fault {
	return &fault{code: codeTooLong, status: http.StatusRequestEntityTooLarge, closes: true,
		text: fmt.Sprintf("Request too long. (%d is longer than accepted %d)", length, limit)}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
