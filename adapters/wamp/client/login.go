package client

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// ErrCannotLogin is the router asking for a login that is not possible here.
var ErrCannotLogin = errors.New("cannot log in")

// Ticket logs in with a ticket.
func Ticket(realm wamp.URI, authID, ticket string) session.Hello {
	return session.Hello{Realm: realm, Method: "ticket", AuthID: authID, Answer: func(*wamp.Challenge) (string, error) {
		return ticket, nil
	}}
}

// WAMPCRA logs in by signing with a secret.
func WAMPCRA(realm wamp.URI, authID, secret string) session.Hello {
	return session.Hello{Realm: realm, Method: "wampcra", AuthID: authID, Answer: func(c *wamp.Challenge) (string, error) {
		text, ok := c.Extra["challenge"].(string)
		if !ok {
			return "", fmt.Errorf("%w: the challenge is no text", ErrCannotLogin)
		}
		key, err := craKey(secret, c.Extra)
		if err != nil {
			return "", err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
	}}
}

// What a router may ask to compute: enough for any real one, not enough to keep
// a processor busy.
const (
	maxIterations = 1_000_000
	maxKeyLen     = 1024
)

// craKey is the secret, or the key derived from it if the router has a salt.
func craKey(secret string, extra wamp.Dict) ([]byte, error) {
	salt, _ := wamp.AsString(extra["salt"])
	if salt == "" {
		return []byte(secret), nil
	}
	iterations, length := int64(1000), int64(32)
	if n, given := wamp.AsInt64(extra["iterations"]); given {
		iterations = n
	}
	if n, given := wamp.AsInt64(extra["keylen"]); given {
		length = n
	}
	if iterations < 1 || iterations > maxIterations || length < 1 || length > maxKeyLen {
		return nil, fmt.Errorf("%w: the router asks for %d iterations and %d bytes", ErrCannotLogin, iterations, length)
	}
	key, err := pbkdf2.Key(sha256.New, secret, []byte(salt), int(iterations), int(length))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCannotLogin, err)
	}
	return []byte(base64.StdEncoding.EncodeToString(key)), nil
}

// Cryptosign logs in with a private key, of which seed is the hexadecimal form.
// authID may be empty: the router then knows the key's owner.
func Cryptosign(realm wamp.URI, authID, seed string) (session.Hello, error) {
	raw, err := hex.DecodeString(strings.TrimSpace(seed))
	if err != nil || len(raw) != ed25519.SeedSize {
		return session.Hello{}, errors.New("the private key is not 32 bytes in hexadecimal")
	}
	key := ed25519.NewKeyFromSeed(raw)
	public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
	return session.Hello{
		Realm: realm, Method: "cryptosign", AuthID: authID, Extra: wamp.Dict{"pubkey": public},
		Answer: func(c *wamp.Challenge) (string, error) { return signChallenge(key, c.Extra) },
	}, nil
}

func signChallenge(key ed25519.PrivateKey, extra wamp.Dict) (string, error) {
	if binding := extra["channel_binding"]; binding != nil {
		return "", fmt.Errorf("%w: the router wants the channel binding %v, which is not supported: switch it off there", ErrCannotLogin, binding)
	}
	text, _ := extra["challenge"].(string)
	challenge, err := hex.DecodeString(text)
	if err != nil || len(challenge) != 32 {
		return "", fmt.Errorf("%w: the challenge is not 32 bytes in hexadecimal", ErrCannotLogin)
	}
	return hex.EncodeToString(append(ed25519.Sign(key, challenge), challenge...)), nil
}
