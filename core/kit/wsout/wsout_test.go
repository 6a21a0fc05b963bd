package wsout

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// both runs a test over plain and over TLS connections: the one writes to the
// socket, the other through the outbox.
func both(t *testing.T, test func(t *testing.T, o serverOptions)) {
	t.Run("plain", func(t *testing.T) { test(t, serverOptions{}) })
	t.Run("TLS", func(t *testing.T) { test(t, serverOptions{tls: true}) })
}

func TestSendAndReceive(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		s := newServer(t, o)
		conn, client := s.dial()
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			payload := strings.Repeat("x", size)
			if !conn.Send(Text([]byte(payload))) {
				t.Fatal("not sent")
			}
			if got := read(t, client); got != payload {
				t.Fatalf("%d bytes, want %d", len(got), size)
			}
		}
		conn.Send(Binary([]byte{1, 0xff}), text("after"))
		if got := read(t, client) + read(t, client); got != "\x01\xffafter" {
			t.Errorf("%q", got)
		}
		write(t, client, websocket.MessageText, "héllo")
		write(t, client, websocket.MessageBinary, "\x00\xff")
		if got := receive(t, conn.messages) + receive(t, conn.messages); got != "false héllotrue \x00\xff" {
			t.Errorf("%q", got)
		}
		if conn.socket == nil != o.tls {
			t.Error("the wrong way of writing")
		}
	})
}

func TestGroup(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		s := newServer(t, o)
		a, clientA := s.dial()
		b, clientB := s.dial()
		c, clientC := s.dial()
		g := s.writer.NewGroup()
		if n := g.Broadcast(text("nobody")); n != 0 {
			t.Errorf("%d got it", n)
		}
		for i, conn := range []*served{a, b, c} {
			if !g.Join(conn.Conn, text("welcome"), text("%d", i)) {
				t.Fatal("not joined")
			}
		}
		for _, step := range []struct{ got, want int }{
			{g.Broadcast(text("all")), 3},
			{g.Broadcast(text("not a"), a.Conn), 2},
			{g.Broadcast(text("not a, b"), a.Conn, b.Conn, a.Conn), 1},
			{g.Broadcast(text("not any"), a.Conn, b.Conn, c.Conn), 0},
			{g.Send(text("only b"), b.Conn, b.Conn), 1},
			{g.Broadcast(text("end")), 3},
			{g.Broadcast(text("not a, nor many others"), append(slices.Repeat([]*Conn{new(Conn), b.Conn}, 10), a.Conn)...), 1},
			{g.Send(text("only b and many others"), append(slices.Repeat([]*Conn{new(Conn), b.Conn}, 10), b.Conn)...), 1},
		} {
			if step.got != step.want {
				t.Errorf("%+v", step)
			}
		}
		expect(t, clientA, "welcome", "0", "all", "end")
		expect(t, clientB, "welcome", "1", "all", "not a", "only b", "end", "only b and many others")
		expect(t, clientC, "welcome", "2", "all", "not a", "not a, b", "end", "not a, nor many others")

		if g.Broadcast(text("before")) != 3 || !g.Leave(b.Conn, text("bye")) || g.Leave(b.Conn, text("bye")) {
			t.Error("leave")
		}
		if n := g.Broadcast(text("after"), b.Conn); n != 2 {
			t.Errorf("%d got it", n)
		}
		if n := g.Send(text("only b"), b.Conn); n != 0 {
			t.Errorf("%d got it", n)
		}
		if !g.Join(b.Conn, text("back")) || !g.Join(b.Conn, text("twice")) || g.Len() != 3 {
			t.Error("joined again")
		}
		expect(t, clientB, "before", "bye", "back", "twice")
		expect(t, clientA, "before", "after")

		c.Cut()
		if n := g.Broadcast(text("two")); n != 2 {
			t.Errorf("%d got it", n)
		}
		if g.Join(c.Conn) || c.Send(text("x")) {
			t.Error("a connection that has ended takes more")
		}
		expect(t, clientB, "two")
	})
}

func expect(t *testing.T, client *websocket.Conn, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := read(t, client); got != w {
			t.Errorf("%q, want %q", got, w)
		}
	}
}

// TestOrder lets many goroutines broadcast, send, join and leave, and checks what
// each client sees: every source's numbers in order, nothing twice, nothing of
// the group outside of a membership, and within one everything.
func TestOrder(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		const clients, rounds, perRound = 8, 25, 40
		o.settings = func(s *Settings) { s.QueueMessages, s.QueueBytes = 1<<20, 1<<30 }
		s := newServer(t, o)
		g := s.writer.NewGroup()
		// The adapter's lock makes the number and the broadcast one step, and the
		// snapshot and the join.
		var mu sync.Mutex
		number := 0
		stop := make(chan struct{})
		var broadcasting, others sync.WaitGroup
		broadcasting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := s.writer.Wait(context.Background()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				number++
				g.Broadcast(text("event %d", number))
				mu.Unlock()
			}
		})
		for range clients {
			conn, client := s.dial()
			others.Go(func() {
				for round := range rounds {
					mu.Lock()
					g.Join(conn.Conn, text("joined %d", number))
					mu.Unlock()
					for i := range perRound {
						conn.Send(text("answer %d", round*perRound+i))
					}
					mu.Lock()
					g.Leave(conn.Conn, text("left %d", number))
					mu.Unlock()
				}
				conn.Send(text("done"))
			})
			others.Go(func() { checkOrder(t, client, rounds*perRound) })
		}
		others.Wait()
		close(stop)
		broadcasting.Wait()
	})
}

func checkOrder(t *testing.T, client *websocket.Conn, answers int) {
	const outside = -1
	last, answer := outside, 0
	for {
		_, data, err := client.Read(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		var kind string
		var n int
		if string(data) == "done" {
			if answer != answers {
				t.Errorf("%d answers, want %d", answer, answers)
			}
			return
		}
		if _, err := fmt.Sscan(string(data), &kind, &n); err != nil {
			t.Error(err)
			return
		}
		ok := true
		switch kind {
		case "joined":
			ok = last == outside
			last = n
		case "event":
			ok = last != outside && n == last+1
			last = n
		case "left":
			ok = n == last
			last = outside
		case "answer":
			ok = n == answer
			answer++
		}
		if !ok {
			t.Errorf("%s after event %d, answer %d", data, last, answer)
			return
		}
	}
}

// TestJoinWhileBroadcasting: what is sent with Join comes before everything that
// the group gets from then on, of which nothing is missing.
func TestJoinWhileBroadcasting(t *testing.T) {
	s := newServer(t, serverOptions{})
	g := s.writer.NewGroup()
	keeps, others := s.dial() // or nobody would be there to broadcast to
	g.Join(keeps.Conn)
	go io.Copy(io.Discard, reader{others})
	stop := make(chan struct{})
	var broadcasting sync.WaitGroup
	broadcasting.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = s.writer.Wait(context.Background())
				g.Broadcast(text("%d", i))
			}
		}
	})
	conn, client := s.dial()
	for range 1000 {
		g.Join(conn.Conn, text("joined"))
		g.Leave(conn.Conn, text("left"))
	}
	close(stop)
	broadcasting.Wait()
	for range 1000 {
		expect(t, client, "joined")
		last := -1
		for {
			got := read(t, client)
			if got == "left" {
				break
			}
			var n int
			if _, err := fmt.Sscan(got, &n); err != nil || last >= 0 && n != last+1 {
				t.Fatalf("%q after %d", got, last)
			}
			last = n
		}
	}
}

// reader reads all messages of a client.
type reader struct{ *websocket.Conn }

// Read implements io.Reader.
func (r reader) Read([]byte) (int, error) {
	_, _, err := r.Conn.Read(context.Background())
	return 0, err
}

// TestOrderOfSendAfterBroadcast: an answer does not overtake what was broadcast
// before it was sent.
func TestOrderOfSendAfterBroadcast(t *testing.T) {
	s := newServer(t, serverOptions{})
	g := s.writer.NewGroup()
	conn, client := s.dial()
	g.Join(conn.Conn)
	go func() {
		for i := range 2000 {
			g.Broadcast(text("event %d", i))
			conn.Send(text("answer %d", i))
		}
	}()
	for i := range 2000 {
		expect(t, client, fmt.Sprint("event ", i), fmt.Sprint("answer ", i))
	}
}

func TestSlowClientIsEvicted(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.small = true
		o.settings = func(s *Settings) {
			s.QueueMessages, s.QueueBytes = 64, 64<<10
			s.Slow = Farewell{4100, "over capacity"}
		}
		s := newServer(t, o)
		g := s.writer.NewGroup()
		slow, slowClient := s.dialStrict()
		fast, fastClient := s.dial()
		g.Join(slow.Conn)
		g.Join(fast.Conn)
		payload := strings.Repeat("x", 2000)
		sent := 0
		for g.Len() == 2 {
			g.Broadcast(text("%d %s", sent, payload))
			expect(t, fastClient, fmt.Sprintf("%d %s", sent, payload))
			sent++
		}
		g.Broadcast(text("%d %s", sent, payload))
		expect(t, fastClient, fmt.Sprintf("%d %s", sent, payload))

		// It reads on: what it gets is whole frames in order, then the code.
		for i := 0; ; i++ {
			opcode, data := slowClient.frame()
			if opcode == opClose {
				if got := string(data); got != "\x10\x04over capacity" {
					t.Errorf("close frame %q", got)
				}
				if i == 0 || i >= sent {
					t.Errorf("%d messages of %d before the close frame", i, sent)
				}
				break
			}
			if want := fmt.Sprintf("%d %s", i, payload); string(data) != want {
				t.Fatalf("message %d is %.20q", i, data)
			}
		}
		slowClient.send(final|opClose, []byte("\x10\x04"))
		if end := slow.end(t); end.Code != 4100 || !end.Slow || end.Remote {
			t.Errorf("%+v", end)
		}
		if slow.Send(text("x")) {
			t.Error("sent to one who is gone")
		}
	})
}

// TestStuckClientIsCut: one that takes nothing at all is gone after the write
// timeout and the close timeout, whatever waits for it.
func TestStuckClientIsCut(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.small = true
		o.settings = func(s *Settings) {
			s.WriteTimeout, s.CloseTimeout = 50*time.Millisecond, 50*time.Millisecond
			s.QueueMessages, s.QueueBytes = 1<<20, 1<<30
			s.Slow = Farewell{4100, "over capacity"}
		}
		s := newServer(t, o)
		stuck, _ := s.dialStrict()
		payload := Text(bytes.Repeat([]byte("x"), 1<<20))
		for range 16 {
			stuck.Send(payload)
		}
		if end := stuck.end(t); !end.Slow || end.Code != 4100 {
			t.Errorf("%+v", end)
		}
	})
}

// TestSlowClientCatchesUp: one that pauses within the bounds loses nothing, and
// is then written to directly again.
func TestSlowClientCatchesUp(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.small = true
		o.settings = func(s *Settings) { s.QueueMessages, s.QueueBytes = 1<<20, 1<<30 }
		s := newServer(t, o)
		g := s.writer.NewGroup()
		conn, client := s.dialStrict()
		g.Join(conn.Conn)
		payload := strings.Repeat("x", 3000)
		for round := range 3 {
			for i := range 1000 {
				if i%2 == 0 {
					g.Broadcast(text("%d.%d %s", round, i, payload))
				} else {
					conn.Send(text("%d.%d %s", round, i, payload))
				}
			}
			for i := range 1000 {
				if _, data := client.frame(); string(data) != fmt.Sprintf("%d.%d %s", round, i, payload) {
					t.Fatalf("%d.%d: %.20q", round, i, data)
				}
			}
		}
	})
}

// TestControlFramesBetweenMessages: pongs come while messages are written in
// pieces, and frames stay whole.
func TestControlFramesBetweenMessages(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.small = true
		o.settings = func(s *Settings) { s.QueueMessages, s.QueueBytes = 1<<20, 1<<30 }
		s := newServer(t, o)
		g := s.writer.NewGroup()
		conn, client := s.dialStrict()
		g.Join(conn.Conn)
		const messages, pings = 3000, 200
		go func() {
			for i := range messages {
				g.Broadcast(text("%d %s", i, strings.Repeat("x", i%5000)))
				if i%100 == 0 {
					conn.Ping()
				}
			}
		}()
		go func() {
			for i := range pings {
				if _, err := client.conn.Write(maskedFrame(final|opPing, fmt.Appendf(nil, "%d", i))); err != nil {
					t.Error(err)
				}
			}
		}()
		lastPong, pinged := -1, 0
		for i := 0; i < messages || lastPong < pings-1 && !o.small; {
			switch opcode, data := client.frame(); opcode {
			case opText:
				if want := fmt.Sprintf("%d %s", i, strings.Repeat("x", i%5000)); string(data) != want {
					t.Fatalf("message %d is %.20q", i, data)
				}
				i++
			case opPing:
				pinged++
			case 10:
				var n int
				if _, err := fmt.Sscan(string(data), &n); err != nil || n <= lastPong {
					t.Fatalf("pong %q after %d", data, lastPong)
				}
				lastPong = n
			default:
				t.Fatalf("opcode %d", opcode)
			}
		}
		if lastPong < 0 || pinged == 0 {
			t.Errorf("last pong %d, %d pings", lastPong, pinged)
		}
	})
}

// TestPingFlood: answers to pings that nobody reads do not pile up, and the
// connection stays usable.
func TestPingFlood(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.small = true
		s := newServer(t, o)
		conn, client := s.dialStrict()
		const pings = 50_000
		payload := bytes.Repeat([]byte("p"), maxControl)
		for range pings {
			client.send(final|opPing, payload)
		}
		client.send(final|opText, []byte("over"))
		receive(t, conn.messages)
		conn.mu.Lock()
		if conn.out == nil || len(conn.out.urgent) > maxUrgent || conn.out.bytes > maxUrgent {
			t.Errorf("%+v", conn.out)
		}
		conn.mu.Unlock()
		conn.Send(text("hello"))
		pongs := 0
		for {
			opcode, data := client.frame()
			if opcode == opText {
				break
			}
			if opcode != 10 || !bytes.Equal(data, payload) {
				t.Fatalf("%d %q", opcode, data)
			}
			pongs++
		}
		if pongs == 0 || pongs >= pings {
			t.Errorf("%d pongs to %d pings", pongs, pings)
		}
	})
}

func TestClose(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		s := newServer(t, o)
		g := s.writer.NewGroup()
		conn, client := s.dial()
		g.Join(conn.Conn)
		g.Broadcast(text("before"))
		conn.Close(4009, strings.Repeat("é", 100))
		conn.Close(4000, "second")
		if conn.Send(text("after")) || g.Broadcast(text("after")) != 0 {
			t.Error("sent after the close frame")
		}
		expect(t, client, "before")
		if end := readClose(t, client); end.Code != 4009 || end.Reason != strings.Repeat("é", 61) {
			t.Errorf("%+v", end)
		}
		if end := conn.end(t); end.Code != 4009 || end.Remote || end.Slow || end.Err != nil {
			t.Errorf("%+v", end)
		}
	})
}

func TestClientCloses(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		s := newServer(t, o)
		conn, client := s.dial()
		if err := client.Close(4321, "I go"); err != nil { // it waits for our answer
			t.Error(err)
		}
		if end := conn.end(t); end.Code != 4321 || end.Reason != "I go" || !end.Remote {
			t.Errorf("%+v", end)
		}

		silent, strict := s.dialStrict()
		strict.send(final|opClose, nil)
		if opcode, data := strict.frame(); opcode != opClose || len(data) != 0 {
			t.Errorf("%d %q", opcode, data)
		}
		if _, _, err := strict.tryFrame(); err != io.EOF {
			t.Errorf("after the close frames: %v", err)
		}
		if end := silent.end(t); end.Code != CodeNoStatus || !end.Remote {
			t.Errorf("%+v", end)
		}

		gone, raw := s.dialStrict()
		raw.conn.Close()
		if end := gone.end(t); end.Code != CodeAbnormal || !end.Remote || end.Err == nil {
			t.Errorf("%+v", end)
		}
	})
}

// TestUnansweredClose: a client that does not answer is cut after a while.
func TestUnansweredClose(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.settings = func(s *Settings) { s.CloseTimeout = 20 * time.Millisecond }
		s := newServer(t, o)
		conn, client := s.dialStrict()
		conn.Close(4200, "")
		if opcode, data := client.frame(); opcode != opClose || string(data) != "\x10\x68" {
			t.Errorf("%d %q", opcode, data)
		}
		if _, _, err := client.tryFrame(); err == nil {
			t.Error("something after the close frame")
		}
		if end := conn.end(t); end.Code != 4200 || end.Remote {
			t.Errorf("%+v", end)
		}
	})
}

func TestCut(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		s := newServer(t, o)
		conn, client := s.dialStrict()
		conn.Cut()
		if _, _, err := client.tryFrame(); err == nil {
			t.Error("a frame")
		}
		if end := conn.end(t); end.Code != CodeAbnormal || end.Remote {
			t.Errorf("%+v", end)
		}
	})
}

// TestWhatClientsMayNotSend ends with the code that RFC 6455 names, and the
// client gets to see it although it is still sending.
func TestWhatClientsMayNotSend(t *testing.T) {
	for name, test := range map[string]struct {
		frame []byte
		code  int
	}{
		"binary":            {maskedFrame(final|opBinary, []byte("x")), CodeUnsupported},
		"not UTF-8":         {maskedFrame(final|opText, []byte("\xff")), CodeInvalidData},
		"too big":           {maskedFrame(final|opText, make([]byte, 1<<20)), 1009},
		"reserved bits":     {maskedFrame(final|0x70|opText, []byte("x")), 1002},
		"unknown opcode":    {maskedFrame(final|5, []byte("x")), 1002},
		"lone continuation": {maskedFrame(final, []byte("x")), 1002},
		"split ping":        {maskedFrame(opPing, []byte("x")), 1002},
		"long ping":         {maskedFrame(final|opPing, make([]byte, 126)), 1002},
		"close code 1006":   {maskedFrame(final|opClose, []byte("\x03\xee")), 1002},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, o serverOptions) {
				o.settings = func(s *Settings) { s.TextOnly, s.MaxMessage = true, 1000 }
				s := newServer(t, o)
				conn, client := s.dialStrict()
				go client.conn.Write(test.frame) // it may not be taken whole
				opcode, data := client.frame()
				if opcode != opClose || len(data) < 2 || int(data[0])<<8|int(data[1]) != test.code {
					t.Errorf("%d %q", opcode, data)
				}
				client.conn.Close()
				if end := conn.end(t); end.Code != test.code || end.Remote {
					t.Errorf("%+v", end)
				}
			})
		})
	}
}

// TestEarlyFrames: a client may send before it has seen our answer to its
// handshake.
func TestEarlyFrames(t *testing.T) {
	s := newServer(t, serverOptions{})
	raw, err := net.Dial("tcp", s.http.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	request := "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
	early := append(maskedFrame(final|opText, []byte("early")), maskedFrame(final|opText, bytes.Repeat([]byte("x"), 3000))...)
	if _, err := raw.Write(append([]byte(request), early...)); err != nil {
		t.Fatal(err)
	}
	conn := receive(t, s.accepted)
	if got := receive(t, conn.messages); got != "false early" {
		t.Errorf("%q", got)
	}
	if got := receive(t, conn.messages); len(got) != len("false ")+3000 {
		t.Errorf("%q", got)
	}
}

func TestLiveness(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		pings := make(chan struct{}, 1000)
		o.settings = func(s *Settings) {
			s.IdleTimeout, s.PongTimeout = 10*time.Millisecond, 200*time.Millisecond
			s.Silent = Farewell{4201, "pong not received"}
			s.Ping = func(c *Conn) {
				pings <- struct{}{}
				c.Ping()
			}
		}
		s := newServer(t, o)
		alive, client := s.dial()
		go client.Read(context.Background()) // answers pings
		for range 5 {
			receive(t, pings)
		}
		if !alive.Ponged() || time.Since(alive.LastRead()) > patience {
			t.Error("its pongs were not noticed")
		}

		silent, strict := s.dialStrict()
		pinged := false
		for {
			opcode, data := strict.frame()
			if opcode == opClose {
				if string(data) != "\x10\x69pong not received" || !pinged {
					t.Errorf("%q, pinged %v", data, pinged)
				}
				break
			}
			pinged = opcode == opPing
		}
		strict.conn.Close()
		if end := silent.end(t); end.Code != 4201 || end.Remote || silent.Ponged() {
			t.Errorf("%+v", end)
		}
		if !alive.Send(text("x")) {
			t.Error("the living one was ended too")
		}
	})
}

// TestBackpressure: Wait waits while the backlog is full, and no longer.
func TestBackpressure(t *testing.T) {
	s := newServer(t, serverOptions{options: Options{BacklogMessages: 4}})
	g := s.writer.NewGroup()
	conn, client := s.dial()
	g.Join(conn.Conn)

	conn.mu.Lock() // holds up the connection's shard
	for i := range 4 {
		// The receiver's lock is not needed for this.
		g.Broadcast(text("%d", i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan error)
	go func() { waiting <- s.writer.Wait(ctx) }()
	cancel()
	if err := receive(t, waiting); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { waiting <- s.writer.Wait(context.Background()) }()
	conn.mu.Unlock()
	if err := receive(t, waiting); err != nil {
		t.Error(err)
	}
	expect(t, client, "0", "1", "2", "3")
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.log) != 0 {
		t.Errorf("%d entries are left in the log", len(g.log))
	}
}

// TestWrapped: a wrapper that shows the connection below is looked through, any
// other is not.
func TestWrapped(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if socketOf(conn) == nil || socketOf(shows{shows{conn}}) == nil {
		t.Error("the socket is not found")
	}
	if socketOf(hides{conn}) != nil || socketOf(shows{hides{conn}}) != nil || socketOf(tls.Client(conn, &tls.Config{})) != nil {
		t.Error("the socket of what is no plain connection is found")
	}
}

type hides struct{ net.Conn }

type shows struct{ net.Conn }

func (s shows) NetConn() net.Conn { return s.Conn }

func TestWriterClose(t *testing.T) {
	s := newServer(t, serverOptions{})
	conn, _ := s.dial()
	if err := s.writer.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if end := conn.end(t); end.Code != CodeAbnormal {
		t.Errorf("%+v", end)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, response, err := websocket.Dial(ctx, s.http.URL, nil)
	if err == nil || response == nil || response.StatusCode != 503 {
		t.Error(err, response)
	}
	if err := s.writer.Wait(ctx); err != nil {
		t.Error(err)
	}
}

func TestCompression(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.settings = func(s *Settings) { s.Compression = true }
		s := newServer(t, o)
		g := s.writer.NewGroup()
		wants, client := s.dialWith(&websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover, CompressionThreshold: 1})
		plain, plainClient := s.dial()
		if !wants.compressed || plain.compressed {
			t.Fatal("not what was asked for")
		}
		g.Join(wants.Conn)
		g.Join(plain.Conn)
		long := text("%s", strings.Repeat("again and ", 1000))
		if len(long.deflated()) > 200 {
			t.Errorf("%d bytes", len(long.deflated()))
		}
		for range 100 {
			g.Broadcast(long)
			g.Broadcast(text("short"))
		}
		wants.Send(long)
		for range 100 {
			expect(t, client, strings.Repeat("again and ", 1000), "short")
			expect(t, plainClient, strings.Repeat("again and ", 1000), "short")
		}
		expect(t, client, strings.Repeat("again and ", 1000))
		write(t, client, websocket.MessageText, strings.Repeat("y", 2000))
		if got := receive(t, wants.messages); got != "false "+strings.Repeat("y", 2000) {
			t.Errorf("%q", got)
		}
	})
}

// TestManyComeAndGo: goroutines end, groups empty, whoever stays gets all.
func TestManyComeAndGo(t *testing.T) {
	s := newServer(t, serverOptions{})
	g := s.writer.NewGroup()
	stays, client := s.dial()
	g.Join(stays.Conn)
	const events = 2000
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := range 50 {
				conn, other := s.dialStrict()
				g.Join(conn.Conn)
				switch (worker + i) % 4 {
				case 0:
					other.conn.Close()
				case 1:
					conn.Cut()
				case 2:
					conn.Close(CodeGoingAway, "")
					other.conn.Close()
				case 3:
					g.Leave(conn.Conn)
					conn.Cut()
				}
				<-conn.closed
			}
		})
	}
	all.Go(func() {
		for i := range events {
			if err := s.writer.Wait(context.Background()); err != nil {
				t.Error(err)
			}
			g.Broadcast(text("%d", i))
		}
	})
	for i := range events {
		expect(t, client, fmt.Sprint(i))
	}
	all.Wait()
	if g.Len() != 1 || s.writer.Len() != 1 {
		t.Errorf("%d in the group, %d connections", g.Len(), s.writer.Len())
	}
}

// TestBurst: clients that read keep their connections when more comes at once
// than their queues hold.
func TestBurst(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		const clients, events = 10, 20_000
		o.settings = func(s *Settings) { s.QueueMessages = 8192 }
		s := newServer(t, o)
		g := s.writer.NewGroup()
		var all sync.WaitGroup
		for range clients {
			conn, client := s.dial()
			g.Join(conn.Conn)
			all.Go(func() {
				for i := range events {
					_, data, err := client.Read(context.Background())
					if err != nil || string(data) != fmt.Sprint(i) {
						t.Errorf("%q, want %d (%v)", data, i, err)
						return
					}
				}
			})
		}
		for i := range events {
			if i%256 == 0 {
				if err := s.writer.Wait(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			g.Broadcast(text("%d", i))
		}
		all.Wait()
	})
}

// TestSlowOneOfMany: a client that does not read does not keep the others,
// who are waited for, from getting everything.
func TestSlowOneOfMany(t *testing.T) {
	both(t, func(t *testing.T, o serverOptions) {
		o.small = true
		s := newServer(t, o)
		g := s.writer.NewGroup()
		slow, _ := s.dialStrict()
		g.Join(slow.Conn)
		fast, client := s.dial()
		g.Join(fast.Conn)
		payload := strings.Repeat("x", 10_000)
		i := 0
		for ; g.Len() == 2; i++ {
			g.Broadcast(text("%d %s", i, payload))
			expect(t, client, fmt.Sprintf("%d %s", i, payload))
		}
		if i < 100 {
			t.Errorf("it was evicted after %d messages", i)
		}
	})
}
