package peer

import (
	"context"
	"time"

	"github.com/gammazero/nexus/v3/wamp"
)

// drain moves what the router writes into the queue. It never waits for the
// connection.
func (p *Peer) drain() {
	defer p.leave()
	for {
		select {
		case msg := <-p.send:
			p.enqueue(p.guard.Outgoing(msg))
		case <-p.done:
			p.drainRest()
			p.queue.close(false)
			return
		}
	}
}

// drainRest takes what was written before the end began.
func (p *Peer) drainRest() {
	for {
		select {
		case msg := <-p.send:
			p.enqueue(p.guard.Outgoing(msg))
		default:
			return
		}
	}
}

// enqueue encodes a message and queues it.
func (p *Peer) enqueue(msg wamp.Message) {
	data, err := p.encode(msg)
	if err != nil {
		p.End(End{Code: ClosePolicyViolation, Reason: "a message cannot be encoded"})
		return
	}
	if p.queue.put(data, isLast(msg)) {
		return
	}
	if _, isEvent := msg.(*wamp.Event); isEvent && p.opts.DropEvents {
		p.guard.Dropped()
		return
	}
	p.End(End{Code: ClosePolicyViolation, Reason: "slow consumer", Slow: true})
}

func (p *Peer) encode(msg wamp.Message) ([]byte, error) {
	if event, isEvent := msg.(*wamp.Event); isEvent && p.opts.Events != nil {
		return p.opts.Events.encode(p.opts.Codec, event)
	}
	return p.opts.Codec.Encode(msg)
}

// isLast reports whether nothing may follow the message.
func isLast(msg wamp.Message) bool {
	switch msg.(type) {
	case *wamp.Goodbye, *wamp.Abort:
		return true
	}
	return false
}

// startWriter starts a goroutine that writes; the queue calls it.
func (p *Peer) startWriter() {
	p.mu.Lock()
	p.running++
	p.mu.Unlock()
	go p.write()
}

// write sends what is queued, all that has queued up at a time, until there is
// nothing more, and closes the connection when there never will be.
func (p *Peer) write() {
	defer p.leave()
	var batch [][]byte
	for {
		var closed bool
		batch, closed = p.queue.take(batch)
		if len(batch) == 0 {
			if closed {
				p.closeConn()
			}
			return
		}
		if err := p.conn.Write(batch, time.Now().Add(p.opts.WriteTimeout)); err != nil {
			p.End(End{Code: CloseNow, Reason: err.Error(), Slow: isTimeout(err)})
			p.queue.close(true)
		}
		clear(batch)
	}
}

// closeConn closes the connection as the end of the session says.
func (p *Peer) closeConn() {
	p.mu.Lock()
	end := p.end
	p.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	p.conn.Close(ctx, end.Code, end.Reason)
}

// Goodbye tells the other side that the session is over and gives it a while to
// answer before the connection is closed. Messages that the router writes later
// are dropped.
func (p *Peer) Goodbye(reason wamp.URI) {
	p.enqueue(&wamp.Goodbye{Reason: reason, Details: wamp.Dict{}})
	time.AfterFunc(goodbyePatience, func() { p.End(End{Code: CloseGoingAway}) })
}

// goodbyePatience is how long an answer to GOODBYE may take.
const goodbyePatience = 2 * time.Second
