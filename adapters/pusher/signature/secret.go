package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"io"
	"strings"
	"sync"
)

// Secret signs with one secret. Its methods may be called from any goroutine.
type Secret struct {
	// states are kept because setting one up costs as much as hashing a short
	// text.
	states sync.Pool
}

// NewSecret returns a Secret whose key are the bytes of text.
func NewSecret(text string) *Secret {
	s := new(Secret)
	s.states.New = func() any { return hmac.New(sha256.New, []byte(text)) }
	return s
}

// hexSize is the length of a signature.
const hexSize = 2 * sha256.Size

// sum signs what write writes.
func (s *Secret) sum(write func(io.Writer)) (signature [hexSize]byte) {
	mac := s.states.Get().(hash.Hash)
	mac.Reset()
	write(mac)
	var raw [sha256.Size]byte
	mac.Sum(raw[:0])
	s.states.Put(mac)
	hex.Encode(signature[:], raw[:])
	return signature
}

// Sign returns the signature of text.
func (s *Secret) Sign(text []byte) string {
	signature := s.sum(func(w io.Writer) { w.Write(text) })
	return string(signature[:])
}

// Verify reports whether signature is that of text.
func (s *Secret) Verify(signature string, text []byte) bool {
	return equal(s.sum(func(w io.Writer) { w.Write(text) }), signature)
}

func equal(right [hexSize]byte, claimed string) bool {
	return subtle.ConstantTimeCompare(right[:], []byte(claimed)) == 1
}

// SignChannel signs the subscription of a socket to a channel. channelData is
// the raw text that goes with it, empty if none does.
func (s *Secret) SignChannel(socketID, channel, channelData string) string {
	signature := s.sum(func(w io.Writer) { writeChannel(w, socketID, channel, channelData) })
	return string(signature[:])
}

// VerifyChannel is the other side of [Secret.SignChannel].
func (s *Secret) VerifyChannel(signature, socketID, channel, channelData string) bool {
	return equal(s.sum(func(w io.Writer) { writeChannel(w, socketID, channel, channelData) }), signature)
}

func writeChannel(w io.Writer, socketID, channel, channelData string) {
	io.WriteString(w, socketID)
	io.WriteString(w, ":")
	io.WriteString(w, channel)
	if channelData != "" {
		io.WriteString(w, ":")
		io.WriteString(w, channelData)
	}
}

// SignUser signs that a socket belongs to the user that the raw text userData
// describes.
func (s *Secret) SignUser(socketID, userData string) string {
	signature := s.sum(func(w io.Writer) { writeUser(w, socketID, userData) })
	return string(signature[:])
}

// VerifyUser is the other side of [Secret.SignUser].
func (s *Secret) VerifyUser(signature, socketID, userData string) bool {
	return equal(s.sum(func(w io.Writer) { writeUser(w, socketID, userData) }), signature)
}

func writeUser(w io.Writer, socketID, userData string) {
	io.WriteString(w, socketID)
	io.WriteString(w, "::user::")
	io.WriteString(w, userData)
}

// SplitAuth divides the auth text of a subscription or a sign-in into key and
// signature; ok is false if it has not both.
func SplitAuth(auth string) (key, signature string, ok bool) {
	key, signature, ok = strings.Cut(auth, ":")
	return key, signature, ok && key != "" && signature != ""
}
