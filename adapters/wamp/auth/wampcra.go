package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// cra is WAMP-CRA: the client signs a text of ours with a key that both know.
type cra struct{ realm *Realm }

// derive computes the keys that sign for the user.
func (u *CRAUser) derive() error {
	u.keys = [][]byte{[]byte(u.Secret)}
	if u.Salt == "" {
		return nil
	}
	derived, err := pbkdf2.Key(sha256.New, u.Secret, []byte(u.Salt), u.Iterations, u.KeyLen)
	if err != nil {
		return fmt.Errorf("derive the key of a salted WAMP-CRA user: %w", err)
	}
	u.keys = append(u.keys, []byte(base64.StdEncoding.EncodeToString(derived)))
	return nil
}

func (c cra) challenge(session wamp.ID, hello wamp.Dict) (wamp.Dict, verify, error) {
	id := wishedID(hello)
	if id == "" {
		return nil, nil, errors.New("no authid")
	}
	user, known := c.realm.directory.Load().WAMPCRA[id]
	if !known {
		user = c.realm.decoy(id)
	}
	text, err := craText(session, id, user.Role)
	if err != nil {
		return nil, nil, err
	}
	extra := wamp.Dict{"challenge": text}
	if user.Salt != "" {
		extra["salt"], extra["iterations"], extra["keylen"] = user.Salt, user.Iterations, user.KeyLen
	}
	return extra, func(signature string) (identity, bool) {
		answer, err := base64.StdEncoding.DecodeString(signature)
		right := false
		for _, key := range user.keys {
			right = hmac.Equal(answer, sign(text, key)) || right
		}
		return identity{authID: id, role: user.Role}, known && right && err == nil && user.Secret != ""
	}, nil
}

// craText is the text to sign.
func craText(session wamp.ID, id, role string) (string, error) {
	text, err := json.Marshal(struct {
		AuthID       string `json:"authid"`
		AuthRole     string `json:"authrole"`
		AuthMethod   string `json:"authmethod"`
		AuthProvider string `json:"authprovider"`
		Session      uint64 `json:"session"`
		Nonce        string `json:"nonce"`
		Timestamp    string `json:"timestamp"`
	}{id, role, methodCRA, "static", uint64(session), randomID(), time.Now().UTC().Format("2006-01-02T15:04:05.000Z")})
	return string(text), err
}

// decoy is what an unknown user is shown instead of a user: like a real one, and
// the same each time it is asked for. It is modelled on one of the real users.
func (r *Realm) decoy(id string) CRAUser {
	users := r.directory.Load().WAMPCRA
	if len(users) == 0 {
		return CRAUser{}
	}
	pick := sign(id, r.decoyKey)
	ids := slices.Sorted(maps.Keys(users))
	model := users[ids[binary.BigEndian.Uint64(pick)%uint64(len(ids))]]
	decoy := CRAUser{Role: model.Role, Iterations: model.Iterations, KeyLen: model.KeyLen, keys: model.keys}
	if model.Salt != "" {
		salt := hex.EncodeToString(slices.Concat(pick, sign(id+"salt", r.decoyKey)))
		decoy.Salt = salt[:min(len(model.Salt), len(salt))]
	}
	return decoy
}

// randomID is an unguessable name.
func randomID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // it never fails
	return hex.EncodeToString(id)
}
