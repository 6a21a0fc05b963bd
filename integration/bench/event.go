//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// What is pushed: a text of payloadBytes that begins with a mark, the event's number
// and the time it was due, both in hexadecimal, so that a listener finds them in any
// message without parsing it.
const (
	payloadBytes = 256
	payloadMark  = '~'
	markedBytes  = 2 * 16
)

// appendBody appends the body of a push.
func (p protocol) appendBody(dst []byte, number int, due time.Time) []byte {
	dst = append(dst, p.body.head...)
	dst = append(dst, payloadMark)
	var fields [16]byte
	binary.BigEndian.PutUint64(fields[:], uint64(number))
	binary.BigEndian.PutUint64(fields[8:], uint64(due.UnixNano()))
	dst = hex.AppendEncode(dst, fields[:])
	for range payloadBytes - 1 - markedBytes {
		dst = append(dst, 'x')
	}
	return append(dst, p.body.tail...)
}

// payloadOf is the text in the body of a push.
func (p protocol) payloadOf(body []byte) ([]byte, error) {
	payload, hasHead := bytes.CutPrefix(body, []byte(p.body.head))
	payload, hasTail := bytes.CutSuffix(payload, []byte(p.body.tail))
	if !hasHead || !hasTail {
		return nil, fmt.Errorf("%q is no push of this program", body)
	}
	return payload, nil
}

// readMark finds the number of an event, and when it was due, in a message.
func readMark(message []byte) (number int, due int64, err error) {
	_, marked, ok := bytes.Cut(message, []byte{payloadMark})
	if !ok || len(marked) < markedBytes {
		return 0, 0, errors.New("there is no event in it")
	}
	var fields [16]byte
	if _, err := hex.Decode(fields[:], marked[:markedBytes]); err != nil {
		return 0, 0, err
	}
	return int(binary.BigEndian.Uint64(fields[:])), int64(binary.BigEndian.Uint64(fields[8:])), nil
}
