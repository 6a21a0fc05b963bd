package auth

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/router/auth"
	"github.com/gammazero/nexus/v3/wamp"
)

// Realm is the authentication of one realm.
type Realm struct {
	name      string
	attempts  *Attempts
	failed    func(method string)
	directory atomic.Pointer[Directory]
	decoyKey  []byte // makes what unknown users are shown; see decoy
}

// NewRealm makes the authentication of the realm. attempts may be shared by
// realms. failed is told of each login that failed; it must not block.
func NewRealm(name string, directory *Directory, attempts *Attempts, failed func(method string)) *Realm {
	r := &Realm{name: name, attempts: attempts, failed: failed, decoyKey: make([]byte, 32)}
	_, _ = rand.Read(r.decoyKey) // it never fails
	r.Swap(directory)
	return r
}

// Swap makes another directory count, from the next login on. It must offer the
// same methods.
func (r *Realm) Swap(directory *Directory) { r.directory.Store(directory) }

// Authenticators are the methods of the realm for the router, and that of the
// bridge's own sessions.
func (r *Realm) Authenticators() []auth.Authenticator {
	all := map[string]method{
		methodTicket: ticket{r}, methodCRA: cra{r}, methodCryptosign: cryptosign{r},
	}
	authenticators := []auth.Authenticator{ownSessions{}}
	for _, name := range r.directory.Load().Methods() {
		if name == MethodAnonymous {
			authenticators = append(authenticators, anonymous{r})
			continue
		}
		authenticators = append(authenticators, authenticator{realm: r, name: name, method: all[name]})
	}
	return authenticators
}

// method is a way to prove who one is by answering a challenge.
type method interface {
	// challenge makes the challenge for what HELLO says, and what verifies its
	// answer. An error means that HELLO has not what the method needs.
	challenge(session wamp.ID, hello wamp.Dict) (extra wamp.Dict, verify verify, err error)
}

// verify returns who has answered, or false.
type verify func(signature string) (identity, bool)

type identity struct{ authID, role string }

// errFailed is all that a client is told.
var errFailed = errors.New("authentication failed")

// answerTimeout is how long a client may take to answer a challenge.
const answerTimeout = 10 * time.Second

// Remote is a peer that knows where it comes from.
type Remote interface{ RemoteAddr() netip.Addr }

// authenticator drives a method. It implements the router's interface.
type authenticator struct {
	realm  *Realm
	name   string
	method method
}

// AuthMethod implements auth.Authenticator.
func (a authenticator) AuthMethod() string { return a.name }

// Authenticate implements auth.Authenticator. It runs in the session's own
// goroutine, so it may take its time.
func (a authenticator) Authenticate(session wamp.ID, hello wamp.Dict, client wamp.Peer) (*wamp.Welcome, error) {
	address := addressOf(client)
	if !a.realm.attempts.wait(address, client) {
		return nil, errFailed
	}
	who, ok := a.ask(session, hello, client)
	if !ok {
		a.realm.attempts.failed(address)
		a.realm.failed(a.name)
		return nil, errFailed
	}
	a.realm.attempts.succeeded(address)
	return welcome(who, a.name), nil
}

// ask sends the challenge and verifies the answer.
func (a authenticator) ask(session wamp.ID, hello wamp.Dict, client wamp.Peer) (identity, bool) {
	extra, verify, err := a.method.challenge(session, hello)
	if err != nil {
		return identity{}, false
	}
	client.Send() <- &wamp.Challenge{AuthMethod: a.name, Extra: extra}
	msg, err := wamp.RecvTimeout(client, answerTimeout)
	if err != nil {
		return identity{}, false
	}
	answer, ok := msg.(*wamp.Authenticate)
	if !ok {
		return identity{}, false
	}
	return verify(answer.Signature)
}

func addressOf(client wamp.Peer) netip.Addr {
	if remote, ok := client.(Remote); ok {
		return remote.RemoteAddr()
	}
	return netip.Addr{}
}

func welcome(who identity, method string) *wamp.Welcome {
	return &wamp.Welcome{Details: wamp.Dict{
		"authid": who.authID, "authrole": who.role, "authmethod": method, "authprovider": "static",
	}}
}

// wishedID is the authid that HELLO asks for.
func wishedID(hello wamp.Dict) string {
	id, _ := hello["authid"].(string)
	return id
}
