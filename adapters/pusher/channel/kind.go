package channel

import "strings"

// Kind is what the prefix of a channel's name makes of it.
type Kind uint8

// The kinds of channels.
const (
	Public         Kind = iota
	PublicCache         // cache-
	Private             // private-
	PrivateCache        // private-cache-
	Encrypted           // private-encrypted-
	EncryptedCache      // private-encrypted-cache-
	Presence            // presence-
	PresenceCache       // presence-cache-
	User                // #server-to-user-
	Reserved            // any other #
)

// prefixes stand longest first among those that begin alike.
var prefixes = [...]struct {
	prefix string
	kind   Kind
}{
	{"private-encrypted-cache-", EncryptedCache},
	{"private-encrypted-", Encrypted},
	{"private-cache-", PrivateCache},
	{"private-", Private},
	{"presence-cache-", PresenceCache},
	{"presence-", Presence},
	{"cache-", PublicCache},
	{UserPrefix, User},
	{"#", Reserved},
}

// KindOf returns the kind of the channel of that name, legal or not.
func KindOf(name string) Kind {
	for _, p := range &prefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.kind
		}
	}
	return Public
}

// NeedsAuth reports whether a subscription must be signed by the application.
func (k Kind) NeedsAuth() bool { return k >= Private && k <= PresenceCache }

// Caches reports whether the channel keeps its last event for new subscribers.
func (k Kind) Caches() bool {
	return k == PublicCache || k == PrivateCache || k == EncryptedCache || k == PresenceCache
}

// IsPresence reports whether the channel knows its subscribers as members.
func (k Kind) IsPresence() bool { return k == Presence || k == PresenceCache }

// IsEncrypted reports whether the data of its events is encrypted end to end.
func (k Kind) IsEncrypted() bool { return k == Encrypted || k == EncryptedCache }

// TakesClientEvents reports whether subscribers may send events to one another.
func (k Kind) TakesClientEvents() bool { return k.NeedsAuth() && !k.IsEncrypted() }

// Counts reports whether subscribers may be told how many they are.
func (k Kind) Counts() bool { return k <= EncryptedCache }
