package wsout

import (
	"encoding/binary"
	"sync"
)

// Frame is one message ready to be written to any number of connections. It is
// immutable and safe for concurrent use.
type Frame struct {
	plain []byte

	pack   sync.Once
	packed []byte // compressed; see deflated
}

// Text makes a frame of a text message, which must be UTF-8. The payload is
// copied.
func Text(payload []byte) *Frame { return newFrame(opText, payload) }

// Binary makes a frame of a binary message. The payload is copied.
func Binary(payload []byte) *Frame { return newFrame(opBinary, payload) }

// Len is the size of the frame on the wire, uncompressed, in bytes.
func (f *Frame) Len() int { return len(f.plain) }

func newFrame(opcode byte, payload []byte) *Frame {
	plain := make([]byte, 0, headerSize(len(payload))+len(payload))
	return &Frame{plain: append(appendHeader(plain, final|opcode, len(payload)), payload...)}
}

// bytes is the frame as a connection wants it.
func (f *Frame) bytes(compressed bool) []byte {
	if compressed {
		return f.deflated()
	}
	return f.plain
}

// The first byte of a frame, RFC 6455 section 5.2.
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9

	rsv1  = 0x40 // RFC 7692: the message is compressed
	final = 0x80
)

// maxControl is the longest payload of a control frame.
const maxControl = 125

func headerSize(length int) int {
	switch {
	case length <= maxControl:
		return 2
	case length <= 0xffff:
		return 4
	}
	return 10
}

// appendHeader appends the header of a server's frame, which is not masked.
func appendHeader(to []byte, first byte, length int) []byte {
	switch headerSize(length) {
	case 2:
		return append(to, first, byte(length))
	case 4:
		return binary.BigEndian.AppendUint16(append(to, first, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(to, first, 127), uint64(length))
}

// headerOf splits a frame of appendHeader's into its first byte and its payload.
func headerOf(frame []byte) (first byte, payload []byte) {
	switch frame[1] {
	case 126:
		return frame[0], frame[4:]
	case 127:
		return frame[0], frame[10:]
	}
	return frame[0], frame[2:]
}
