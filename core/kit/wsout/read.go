package wsout

import (
	"context"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// Handler is the adapter's side of a connection. One goroutine calls its
// methods, one after the other.
type Handler interface {
	// Message is given each message of the client, in order. The data is the
	// handler's. To block slows down this client and nobody else; it also holds
	// up Closed.
	Message(data []byte, binary bool)

	// Closed is called once, last, when the connection is closed.
	Closed(end End)
}

// Serve begins to read. It returns at once; the handler's methods are called
// from the connection's own goroutine. It is called once. If the Writer is closed
// already, Closed is called before Serve returns.
func (c *Conn) Serve(handler Handler) {
	c.watch()
	if !c.w.run(func() { c.read(handler) }) {
		c.Cut()
		c.release()
		handler.Closed(c.ended())
	}
}

func (c *Conn) read(handler Handler) {
	c.finish(c.readMessages(handler))
	c.release()
	handler.Closed(c.ended())
}

// readMessages reads until the connection ends. Messages that come after a close
// frame of ours are read, because the client's own may come behind them.
func (c *Conn) readMessages(handler Handler) error {
	for {
		kind, data, err := c.ws.Read(context.Background())
		if err != nil {
			return err
		}
		switch {
		case !c.isOpen():
		case kind == websocket.MessageBinary && c.settings.TextOnly:
			c.Close(CodeUnsupported, "only text messages are understood")
		case kind == websocket.MessageText && !utf8.Valid(data):
			c.Close(CodeInvalidData, "text that is not UTF-8")
		default:
			handler.Message(data, kind == websocket.MessageBinary)
		}
	}
}

func (c *Conn) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == open
}

func (c *Conn) ended() End {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.end
}

// finish ends the connection after reading failed with err.
func (c *Conn) finish(err error) {
	answered := websocket.CloseStatus(err) != -1 // the client's close frame came
	c.mu.Lock()
	switch {
	case c.state == open: // it broke without a close frame
		c.fail(err)
	case c.state == ending && answered:
		c.whenFlushed(func() { c.fail(nil) })
	case c.state == ending:
		// The library refused what the client sent, or the client went away
		// without an answer to our close frame. To close with bytes of its unread
		// would make its system discard our close frame.
		c.end.Remote = false
		c.whenFlushed(c.closeWrite)
	}
	c.mu.Unlock()
	c.discard()
	c.Cut()
}

// whenFlushed calls f, with c.mu held, when everything is written. c.mu is held.
func (c *Conn) whenFlushed(f func()) {
	if c.out == nil {
		f()
	} else {
		c.flushed = f
	}
}

// closeWrite tells the client's system that nothing more comes. c.mu is held.
func (c *Conn) closeWrite() {
	socket := transparent(belowTLS(transparent(c.below))) // TLS would wait to say goodbye
	if half, ok := socket.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		return
	}
	c.fail(nil)
}

// discard reads until the connection is closed; the close timeout bounds it.
func (c *Conn) discard() {
	var waste [512]byte
	for {
		if _, err := c.below.Read(waste[:]); err != nil {
			return
		}
	}
}

// release gives back what the connection holds.
func (c *Conn) release() {
	_ = c.ws.CloseNow() // closed it is; this ends what the library keeps
	c.w.remove(c)
}
