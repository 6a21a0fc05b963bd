package auth

// Directory is who may join a realm, by method. A nil member is a method that
// is not offered. It is prepared before use ([Directory.Prepare]) and does not
// change afterwards.
type Directory struct {
	Anonymous  *Anonymous
	Ticket     map[string]TicketPrincipal     // by authid
	WAMPCRA    map[string]CRAUser             // by authid
	Cryptosign map[string]CryptosignPrincipal // by authid
}

// Anonymous is what sessions become that prove nothing.
type Anonymous struct {
	Role string
	// AuthID is the same for all; "" gives each session one of its own.
	AuthID string
}

// TicketPrincipal logs in with a ticket.
type TicketPrincipal struct {
	Ticket, Role string
}

// CRAUser logs in by WAMP-CRA. With a Salt, Secret is the password or the key
// derived from it: both are written in configurations.
type CRAUser struct {
	Secret, Role       string
	Salt               string
	Iterations, KeyLen int // of the derived key; used with a Salt

	keys [][]byte // that sign for the user
}

// CryptosignPrincipal logs in with one of its Ed25519 keys.
type CryptosignPrincipal struct {
	Keys []string // 32 bytes each, in lower-case hexadecimal
	Role string
	// Realm limits the principal to one realm; "" to none.
	Realm string
}

// Methods names the methods that are offered.
func (d *Directory) Methods() []string {
	var methods []string
	for _, method := range []struct {
		name    string
		offered bool
	}{
		{MethodAnonymous, d.Anonymous != nil}, {methodTicket, d.Ticket != nil},
		{methodCRA, d.WAMPCRA != nil}, {methodCryptosign, d.Cryptosign != nil},
	} {
		if method.offered {
			methods = append(methods, method.name)
		}
	}
	return methods
}

// The names of the methods, as clients spell them.
const (
	MethodAnonymous  = "anonymous"
	methodTicket     = "ticket"
	methodCRA        = "wampcra"
	methodCryptosign = "cryptosign"
)

// Prepare computes the keys that are not in the configuration. It is called once,
// before the directory is used.
func (d *Directory) Prepare() error {
	for id, user := range d.WAMPCRA {
		if err := user.derive(); err != nil {
			return err
		}
		d.WAMPCRA[id] = user
	}
	return nil
}
