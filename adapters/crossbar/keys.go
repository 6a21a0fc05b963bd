package crossbar

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"hash"
	"strings"
	"sync"
)

// sender is on whose behalf a request publishes: a key, or the endpoint itself
// where requests are not signed.
type sender struct {
	// name is the key's name, empty for the endpoint.
	name string
	role string
	// topics are prefixes, one of which the topic must have; empty: any topic.
	topics []string
	// meta is what events of this sender carry at least. It is never changed.
	meta    map[string]string
	secrets []*secret
}

// newSender makes a sender without secrets.
func newSender(name, role string, topics []string) *sender {
	return &sender{name: name, role: role, topics: topics, meta: map[string]string{metaRole: role}}
}

// mayUse reports whether the sender's own list of prefixes allows the topic.
func (s *sender) mayUse(topic string) bool {
	if len(s.topics) == 0 {
		return true
	}
	for _, prefix := range s.topics {
		if strings.HasPrefix(topic, prefix) {
			return true
		}
	}
	return false
}

// secret makes MACs with one secret. The states are kept because setting one up
// costs as much as hashing a short request.
type secret struct{ states sync.Pool }

func newSecret(value []byte) *secret {
	s := new(secret)
	s.states.New = func() any { return hmac.New(sha256.New, value) }
	return s
}

// sign computes a MAC; scratch is as in writeSigned.
func (s *secret) sign(scratch []byte, p Parameters, body []byte) (signature, []byte) {
	mac := s.states.Get().(hash.Hash)
	mac.Reset()
	scratch = writeSigned(mac, scratch, p, body)
	scratch = mac.Sum(scratch[:0])
	s.states.Put(mac)
	return signature(scratch), scratch
}

// keyring holds the keys of an endpoint. The zero keyring has none: requests are
// not signed.
type keyring struct {
	senders map[string]*sender
	// stranger answers for keys that nobody configured.
	stranger *sender
}

// newKeyring makes a keyring. Every sender, the stranger too, gets as many
// secrets as the one with most, random ones where it has fewer: so a signature
// that does not match takes the same time whatever the key.
func newKeyring(keys []key, role string) keyring {
	ring := keyring{senders: make(map[string]*sender, len(keys)), stranger: &sender{}}
	width := 1
	for _, k := range keys {
		if k.PreviousSecret != "" {
			width = 2
		}
	}
	for _, k := range keys {
		own := newSender(k.Key, cmp.Or(k.Role, role), k.Topics)
		own.secrets = append(own.secrets, newSecret([]byte(k.Secret)))
		if k.PreviousSecret != "" {
			own.secrets = append(own.secrets, newSecret([]byte(k.PreviousSecret)))
		}
		own.pad(width)
		ring.senders[k.Key] = own
	}
	ring.stranger.pad(width)
	return ring
}

// pad adds random secrets.
func (s *sender) pad(width int) {
	for len(s.secrets) < width {
		random := make([]byte, sha256.Size)
		rand.Read(random) // it never fails
		s.secrets = append(s.secrets, newSecret(random))
	}
}

// verified is what became of a signature.
type verified struct {
	sender *sender // nil: no such key
	// mac is what the signature should have been, by the secret that matched,
	// else by the key's first.
	mac signature
	ok  bool
}

// verify checks a signature over the parameters and the body. scratch is as in
// writeSigned.
func (ring keyring) verify(scratch []byte, p Parameters, received string, body []byte) (verified, []byte) {
	from, known := ring.senders[p.Key]
	if !known {
		from = ring.stranger
	}
	claimed, readable := decodeSignature(received)
	var result verified
	for i, s := range from.secrets {
		var mac signature
		mac, scratch = s.sign(scratch, p, body)
		if i == 0 {
			result.mac = mac
		}
		if subtle.ConstantTimeCompare(mac[:], claimed[:]) == 1 && readable && known {
			result.mac, result.ok = mac, true
			break
		}
	}
	if known {
		result.sender = from
	}
	return result, scratch
}
