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

// What is pushed: one argument, a text of payloadBytes that begins with a mark,
// the event's number and the time it was due, both in hexadecimal, so that a
// listener finds them in any message without parsing it.
const (
	benchTopic   = "com.myapp.topic1"
	benchRealm   = "realm1"
	payloadBytes = 256
	payloadMark  = '~'
	markedBytes  = 2 * 16

	bodyHead = `{"topic":"` + benchTopic + `","args":`
	bodyTail = `}`
)

// appendBody appends the body of a push.
func appendBody(dst []byte, number int, due time.Time) []byte {
	dst = append(dst, bodyHead+`["`...)
	dst = append(dst, payloadMark)
	var fields [16]byte
	binary.BigEndian.PutUint64(fields[:], uint64(number))
	binary.BigEndian.PutUint64(fields[8:], uint64(due.UnixNano()))
	dst = hex.AppendEncode(dst, fields[:])
	for range payloadBytes - 1 - markedBytes {
		dst = append(dst, 'x')
	}
	return append(dst, `"]`+bodyTail...)
}

// argsOf is the list of arguments in the body of a push.
func argsOf(body []byte) ([]byte, error) {
	args, hasHead := bytes.CutPrefix(body, []byte(bodyHead))
	args, hasTail := bytes.CutSuffix(args, []byte(bodyTail))
	if !hasHead || !hasTail {
		return nil, fmt.Errorf("%q is no push of this program", body)
	}
	return args, nil
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
