package auth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/gammazero/nexus/v3/wamp"
)

// anonymous lets everybody in. Whom the client wishes to be does not matter.
type anonymous struct{ realm *Realm }

// AuthMethod implements auth.Authenticator.
func (anonymous) AuthMethod() string { return MethodAnonymous }

// Authenticate implements auth.Authenticator.
func (a anonymous) Authenticate(wamp.ID, wamp.Dict, wamp.Peer) (*wamp.Welcome, error) {
	granted := a.realm.directory.Load().Anonymous
	if granted == nil {
		return nil, errFailed
	}
	id := granted.AuthID
	if id == "" {
		id = randomID()
	}
	return welcome(identity{authID: id, role: granted.Role}, MethodAnonymous), nil
}

// ticket is the method that shows a shared secret.
type ticket struct{ realm *Realm }

func (t ticket) challenge(_ wamp.ID, hello wamp.Dict) (wamp.Dict, verify, error) {
	id := wishedID(hello)
	if id == "" {
		return nil, nil, errors.New("no authid")
	}
	return wamp.Dict{}, func(signature string) (identity, bool) {
		principal, known := t.realm.directory.Load().Ticket[id]
		same := equal(signature, principal.Ticket)
		return identity{authID: id, role: principal.Role}, known && same && principal.Ticket != ""
	}, nil
}

// equal compares in a time that tells nothing, not even a length.
func equal(a, b string) bool {
	first, second := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(first[:], second[:]) == 1
}

// sign is HMAC-SHA-256.
func sign(text string, key []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
