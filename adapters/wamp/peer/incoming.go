package peer

import (
	"errors"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// read hands what comes over the connection to the router. It goes on reading,
// and discards, while the session ends: the other side's farewell is among what
// comes.
func (p *Peer) read() {
	defer p.leave()
	defer close(p.recv)
	for {
		data, err := p.conn.Read()
		if err != nil {
			p.lost(err)
			return
		}
		p.lastRead.Store(time.Now().UnixNano())
		select {
		case <-p.done:
			continue
		default:
		}
		if err := p.accept(data); err != nil {
			p.violated(err)
		}
	}
}

// accept passes one message on. An error is the sender's violation.
func (p *Peer) accept(data []byte) error {
	msg, err := p.opts.Codec.Decode(data)
	if err != nil {
		return err
	}
	pass, answer, err := p.guard.Incoming(msg)
	if err != nil {
		return err
	}
	if answer != nil {
		p.enqueue(answer)
	}
	if pass == nil {
		return nil
	}
	select {
	case p.recv <- pass:
	case <-p.done:
	}
	return nil
}

// lost ends the session for an error of the connection.
func (p *Peer) lost(err error) {
	end := End{Code: CloseNow, Reason: err.Error()}
	var forbidden *CloseError
	if errors.As(err, &forbidden) {
		end = End{Code: forbidden.Code, Reason: forbidden.Reason}
	}
	p.End(end)
}

// violated tells the sender of a message that the protocol does not allow, and
// ends the session.
func (p *Peer) violated(err error) {
	p.enqueue(&wamp.Abort{Reason: wamp.ErrProtocolViolation, Details: wamp.Dict{wamp.OptMessage: err.Error()}})
	p.End(End{Code: CloseProtocolError, Reason: "protocol violation"})
}
