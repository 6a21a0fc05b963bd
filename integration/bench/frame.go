//go:build linux

package main

import "encoding/binary"

// The opcodes of WebSocket frames (RFC 6455, 5.2) that matter here.
const (
	opcodeText  = 1
	opcodeClose = 8
	opcodePing  = 9
	opcodePong  = 10
)

// frame is a WebSocket frame as servers send them: final and without a mask.
type frame struct {
	opcode  byte
	payload []byte
	size    int // with its header
}

// firstFrame is the frame that data begins with, if all of it is there.
func firstFrame(data []byte) (f frame, ok bool) {
	if len(data) < 2 {
		return f, false
	}
	header, length := 2, int(data[1]&0x7f)
	switch length {
	case 126:
		header = 4
		if len(data) < header {
			return f, false
		}
		length = int(binary.BigEndian.Uint16(data[2:]))
	case 127:
		header = 10
		if len(data) < header {
			return f, false
		}
		length = int(binary.BigEndian.Uint64(data[2:]))
	}
	if len(data) < header+length {
		return f, false
	}
	return frame{data[0] & 0xf, data[header : header+length], header + length}, true
}

// appendFrame appends a frame. Those of clients have a mask, here of zeros, which
// leaves the payload as it is.
func appendFrame(dst []byte, opcode byte, payload []byte, fromClient bool) []byte {
	mask := byte(0)
	if fromClient {
		mask = 0x80
	}
	dst = append(dst, 0x80|opcode)
	if len(payload) < 126 {
		dst = append(dst, mask|byte(len(payload)))
	} else {
		dst = append(dst, mask|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	}
	if fromClient {
		dst = append(dst, 0, 0, 0, 0)
	}
	return append(dst, payload...)
}
