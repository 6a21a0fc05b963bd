package peer

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
)

// Options of a Peer.
type Options struct {
	Codec *codec.Codec
	// QueueMessages and QueueBytes bound what waits for a slow reader.
	QueueMessages, QueueBytes int
	// DropEvents drops new EVENTs when the queue is full; else, and for every
	// other message, a full queue ends the session.
	DropEvents bool
	// WriteTimeout bounds each write.
	WriteTimeout time.Duration
	// PingInterval is the time between pings. Without a sign of life for
	// PingInterval and PingTimeout together the connection is cut.
	PingInterval, PingTimeout time.Duration
	// Guard may be nil.
	Guard Guard
	// Events is shared by the peers of a router; nil for others.
	Events *Events
}

// Guard sees what passes through a Peer.
type Guard interface {
	// Incoming is shown each message that was read and returns what becomes of
	// it: pass it on, answer it, both, or neither. It may change the message.
	// Blocking, for as long as the Peer is not done, slows the sender down. An
	// error ends the session as a violation of the protocol. One goroutine
	// calls it.
	Incoming(msg wamp.Message) (pass, answer wamp.Message, err error)

	// Outgoing is shown each message of the router before it is encoded, and may
	// change it or return another. It must not block. One goroutine calls it.
	Outgoing(msg wamp.Message) wamp.Message

	// Dropped is told of each EVENT that found no room. It must not block.
	Dropped()

	// Ended is told once why the session ended, when nothing of the Peer runs
	// any more.
	Ended(reason End)
}

// End says why a session ended.
type End struct {
	Code   CloseCode
	Reason string
	// Slow says that the reader did not keep up.
	Slow bool
}

// Peer is one end of a connection. It implements wamp.Peer for the router and
// for sessions of our own. Its methods may be called from any goroutine.
type Peer struct {
	conn  Conn
	opts  Options
	guard Guard
	queue *queue

	recv chan wamp.Message // unbuffered: a router that is busy slows the sender down
	send chan wamp.Message

	lastRead atomic.Int64 // when something last came, in Unix nanoseconds
	alive    *time.Timer  // the next ping; while the session ends, the cut

	mu       sync.Mutex
	end      End
	ending   bool
	running  int           // goroutines that must return before finished
	done     chan struct{} // closed when the session begins to end
	finished chan struct{} // closed when everything has returned
}

// sendBuffer is how many messages the router can write ahead of drain; see
// Send. The quarter that Send leaves free is more than the router has goroutines
// that write at a time.
const sendBuffer = 64

// New starts a Peer on a connection, which is its own from now on.
func New(conn Conn, opts Options) *Peer {
	p := &Peer{
		conn: conn, opts: opts, guard: opts.Guard,
		recv: make(chan wamp.Message), send: make(chan wamp.Message, sendBuffer),
		done: make(chan struct{}), finished: make(chan struct{}),
		running: 2,
	}
	p.queue = newQueue(opts.QueueMessages, opts.QueueBytes, p.startWriter)
	if p.guard == nil {
		p.guard = openGuard{}
	}
	p.lastRead.Store(time.Now().UnixNano())
	p.mu.Lock()
	p.alive = time.AfterFunc(opts.PingInterval, p.checkAlive)
	p.mu.Unlock()
	go p.read()
	go p.drain()
	return p
}

// Recv implements wamp.Peer. The channel is closed when the connection ends.
func (p *Peer) Recv() <-chan wamp.Message { return p.recv }

// IsLocal implements wamp.Peer. It is true so that the router's broker copies
// an event for each receiver: it writes into what it otherwise shares between
// receivers, while they read it.
func (p *Peer) IsLocal() bool { return true }

// sendPatience bounds how long Send holds up the router.
const sendPatience = 50 * time.Millisecond

// Send implements wamp.Peer. The router asks for the channel right before each
// write, and drops the message if the channel is full. So while the channel is
// nearly full, Send lets others run: drain needs nothing but the processor to
// empty it. After the end of the session the channel is one that nobody reads.
func (p *Peer) Send() chan<- wamp.Message { return whenRoom(p.send, p.done) }

// whenRoom is Send: the channel, once it has room or patience is at its end, or
// another one, for a single message, if the session is done.
func whenRoom(send chan wamp.Message, done <-chan struct{}) chan<- wamp.Message {
	nearlyFull := cap(send) * 3 / 4
	var since time.Time
	for len(send) >= nearlyFull {
		if since.IsZero() {
			since = time.Now()
		} else if time.Since(since) > sendPatience {
			break
		}
		runtime.Gosched()
	}
	select {
	case <-done:
		return make(chan wamp.Message, 1)
	default:
		return send
	}
}

// Close implements wamp.Peer: the router is through with the session. What it
// has written before is still sent, for up to a second. Close returns at once.
func (p *Peer) Close() { p.End(End{Code: CloseNormal}) }

// closePatience bounds how long a session that ends may take to send what is
// queued and to close its connection.
const closePatience = time.Second

// End ends the session. With CloseNow the connection is cut; with another code
// it is closed with that code after what is queued was sent, and cut after a
// second. The first end counts. End returns at once.
func (p *Peer) End(end End) {
	if !p.begin(end) {
		return
	}
	if end.Code == CloseNow || end.Slow {
		p.queue.close(true)
	}
	if end.Code == CloseNow {
		go func() { // a writer may be stuck; End returns at once
			defer p.leave()
			p.cut()
		}()
	}
}

// begin begins the end, unless it has begun.
func (p *Peer) begin(end End) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ending {
		return false
	}
	p.ending, p.end = true, end
	p.alive.Stop()
	close(p.done)
	if end.Code == CloseNow {
		p.running++ // for the goroutine that cuts
	} else {
		p.alive = time.AfterFunc(closePatience, p.cut)
	}
	return true
}

func (p *Peer) cut() { p.conn.Close(context.Background(), CloseNow, "") }

// leave notes that a goroutine returns; the last one closes the books.
func (p *Peer) leave() {
	p.mu.Lock()
	p.running--
	last := p.running == 0
	end := p.end
	if last {
		p.alive.Stop()
	}
	p.mu.Unlock()
	if last {
		p.guard.Ended(end)
		close(p.finished)
	}
}

// Done is closed when the session begins to end.
func (p *Peer) Done() <-chan struct{} { return p.done }

// Finished is closed when nothing of the Peer runs any more.
func (p *Peer) Finished() <-chan struct{} { return p.finished }

// HighWater returns the greatest number of messages that waited at a time since
// it was last asked.
func (p *Peer) HighWater() int { return p.queue.highWater() }

// openGuard lets everything pass.
type openGuard struct{}

func (openGuard) Incoming(msg wamp.Message) (pass, answer wamp.Message, err error) {
	return msg, nil, nil
}
func (openGuard) Outgoing(msg wamp.Message) wamp.Message { return msg }
func (openGuard) Dropped()                               {}
func (openGuard) Ended(End)                              {}
