package peer

import (
	"sync"

	"github.com/gammazero/nexus/v3/wamp"
)

// Pipe is one end of a connection within the process, from a session of our own
// to the router. It implements wamp.Peer.
//
// Unlike the library's linked peers it never closes a channel that the router
// may still write to.
type Pipe struct {
	// AuthID and AuthRole are who is at the other end, for the router's side to
	// read. Nobody but this process can make a Pipe, so they can be trusted.
	AuthID, AuthRole string

	recv, send chan wamp.Message
	client     bool
	closing    *sync.Once
	done       chan struct{} // closed when the router's side is closed; shared by both ends
}

// pipeBuffer is how many messages the router can write ahead of the session. A
// publishing session has at most 1024 requests open, so its answers always fit.
const pipeBuffer = 4096

// NewPipe returns both ends of a connection for the identity.
func NewPipe(authID, authRole string) (client, router *Pipe) {
	up := make(chan wamp.Message) // unbuffered: the router takes one message after the other
	down := make(chan wamp.Message, pipeBuffer)
	done := make(chan struct{})
	client = &Pipe{recv: down, send: up, client: true, closing: new(sync.Once), done: done}
	router = &Pipe{AuthID: authID, AuthRole: authRole, recv: up, send: down, closing: new(sync.Once), done: done}
	return client, router
}

// Recv implements wamp.Peer. The client's channel is never closed; see Done.
func (p *Pipe) Recv() <-chan wamp.Message { return p.recv }

// Send implements wamp.Peer. A client's write may block until Done is closed.
func (p *Pipe) Send() chan<- wamp.Message {
	if p.client {
		return p.send
	}
	return whenRoom(p.send, p.done)
}

// IsLocal implements wamp.Peer.
func (p *Pipe) IsLocal() bool { return true }

// Close implements wamp.Peer. The client's end is closed by whoever writes to
// it; the router then loses the session.
func (p *Pipe) Close() {
	p.closing.Do(func() {
		if p.client {
			close(p.send)
		} else {
			close(p.done)
		}
	})
}

// Done is closed when the router has left the session.
func (p *Pipe) Done() <-chan struct{} { return p.done }
