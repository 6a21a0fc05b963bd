package auth

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"
)

// cryptosign is the method that proves to have a private key. The answer holds
// the signed message itself, which must be the challenge: else an answer that
// was once recorded would do for ever.
type cryptosign struct{ realm *Realm }

// challengeSize is the length of the challenge, which is the signed message.
const challengeSize = 32

func (c cryptosign) challenge(_ wamp.ID, hello wamp.Dict) (wamp.Dict, verify, error) {
	extra, _ := wamp.AsDict(hello["authextra"])
	text, _ := extra["pubkey"].(string)
	key, err := hex.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, nil, errors.New("authextra.pubkey is no public key")
	}
	challenge := make([]byte, challengeSize)
	_, _ = rand.Read(challenge) // it never fails
	wished := wishedID(hello)
	return wamp.Dict{"challenge": hex.EncodeToString(challenge), "channel_binding": nil}, func(signature string) (identity, bool) {
		if !signed(key, challenge, signature) {
			return identity{}, false
		}
		return c.owner(strings.ToLower(text), wished)
	}, nil
}

// signed reports whether the answer is the challenge, signed with the key.
func signed(key ed25519.PublicKey, challenge []byte, answer string) bool {
	raw, err := hex.DecodeString(answer)
	if err != nil || len(raw) != ed25519.SignatureSize+challengeSize {
		return false
	}
	signature, message := raw[:ed25519.SignatureSize], raw[ed25519.SignatureSize:]
	return bytes.Equal(message, challenge) && ed25519.Verify(key, message, signature)
}

// owner is the principal that the key belongs to, and that the client wishes to
// be if it wishes anything.
func (c cryptosign) owner(key, wished string) (identity, bool) {
	for id, principal := range c.realm.directory.Load().Cryptosign {
		switch {
		case wished != "" && id != wished:
		case principal.Realm != "" && principal.Realm != c.realm.name:
		case slices.Contains(principal.Keys, key):
			return identity{authID: id, role: principal.Role}, true
		}
	}
	return identity{}, false
}
