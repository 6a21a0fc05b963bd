//go:build integration

package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// load pushes at a steady rate over keep-alive connections, each of which has one
// request under way, and notes what became of every one. It repeats nothing.
type load struct {
	address string
	next    atomic.Int64
	stop    chan struct{}
	running sync.WaitGroup

	mu       sync.Mutex
	pushes   map[int64]push // accepted ones, by number
	counts   map[string]int // outcomes in words
	statuses map[int]int
	strange  []string // answers that are not shaped like the protocol's
}

// push is one accepted push, from its first byte sent to its answer read.
type push struct{ sent, answered time.Time }

const (
	loadConnections = 16
	loadRate        = 2000 // pushes a second over all connections
)

func startLoad(address string) *load {
	l := &load{
		address: address, stop: make(chan struct{}),
		pushes: make(map[int64]push), counts: make(map[string]int), statuses: make(map[int]int),
	}
	for range loadConnections {
		l.running.Go(l.connection)
	}
	return l
}

func (l *load) end() {
	close(l.stop)
	l.running.Wait()
}

func (l *load) count(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts[what]++
}

// connection pushes until the load ends, dialling anew whenever the server closes.
func (l *load) connection() {
	pace := time.NewTicker(time.Second * loadConnections / loadRate)
	defer pace.Stop()
	var conn net.Conn
	var reader *bufio.Reader
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	for {
		select {
		case <-l.stop:
			return
		case <-pace.C:
		}
		if conn == nil {
			var err error
			if conn, err = net.DialTimeout("tcp", l.address, patience); err != nil {
				l.count("refused")
				continue
			}
			reader = bufio.NewReader(conn)
		}
		if !l.push(conn, reader) {
			conn.Close()
			conn = nil
		}
	}
}

// push reports whether the connection can be used again.
func (l *load) push(conn net.Conn, reader *bufio.Reader) bool {
	number := l.next.Add(1)
	body := fmt.Sprintf(`{"topic":"com.load","args":[%d]}`, number)
	sent := time.Now()
	_ = conn.SetDeadline(sent.Add(patience))
	_, err := fmt.Fprintf(conn, "POST /push HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	if err == nil {
		var response *http.Response
		if response, err = http.ReadResponse(reader, nil); err == nil {
			return l.answered(number, sent, response)
		}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		l.count("never answered")
	} else {
		l.count("reset")
	}
	return false
}

func (l *load) answered(number int64, sent time.Time, response *http.Response) (again bool) {
	data, err := io.ReadAll(response.Body)
	now := time.Now()
	var answer struct {
		ID    json.Number `json:"id"`
		Error string      `json:"error"`
	}
	shaped := err == nil && json.Unmarshal(data, &answer) == nil
	l.mu.Lock()
	defer l.mu.Unlock()
	l.statuses[response.StatusCode]++
	switch {
	case response.StatusCode/100 == 2 && shaped && answer.ID != "":
		l.pushes[number] = push{sent, now}
		l.counts["accepted"]++
	case response.StatusCode/100 == 2 || !shaped:
		l.strange = append(l.strange, fmt.Sprintf("%d %s", response.StatusCode, data))
	default:
		l.counts["refused by the protocol"]++
	}
	return !response.Close
}

// subscriber is a WAMP client that stays subscribed: when its session ends it joins
// again at once. It remembers its sessions.
type subscriber struct {
	url    string
	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	sessions []*session
	joined   chan struct{} // closed once the first session is subscribed
}

// session is the time in which a subscriber was subscribed, and what it got.
type session struct {
	from, until time.Time // until is zero while it lasts
	got         map[int64]int
}

func subscribe(t testing.TB, router string) *subscriber {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &subscriber{url: "ws://" + router + "/ws", cancel: cancel, done: make(chan struct{}), joined: make(chan struct{})}
	go func() {
		defer close(s.done)
		for ctx.Err() == nil {
			s.session(ctx)
		}
	}()
	t.Cleanup(s.leave)
	select {
	case <-s.joined:
	case <-time.After(patience):
		t.Fatal("no subscription")
	}
	return s
}

func (s *subscriber) leave() {
	s.cancel()
	<-s.done
}

// session is one session from its HELLO to its end.
func (s *subscriber) session(ctx context.Context) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	conn, _, err := websocket.Dial(dialing, s.url, &websocket.DialOptions{Subprotocols: []string{"wamp.2.json"}})
	cancel()
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	say := func(text string) bool { return conn.Write(ctx, websocket.MessageText, []byte(text)) == nil }
	if !say(`[1,"realm1",{"roles":{"subscriber":{}}}]`) || read(ctx, conn)[0] != json.Number("2") || // WELCOME
		!say(`[32,1,{},"com.load"]`) || read(ctx, conn)[0] != json.Number("33") { // SUBSCRIBED
		return
	}
	current := &session{from: time.Now(), got: make(map[int64]int)}
	s.mu.Lock()
	if s.sessions = append(s.sessions, current); len(s.sessions) == 1 {
		close(s.joined)
	}
	s.mu.Unlock()
	for {
		message := read(ctx, conn)
		if message[0] != json.Number("36") { // not an EVENT: GOODBYE, or the end
			s.mu.Lock()
			current.until = time.Now()
			s.mu.Unlock()
			if message[0] == json.Number("6") {
				say(`[6,{},"wamp.close.goodbye_and_out"]`)
			}
			return
		}
		number, err := message[4].([]any)[0].(json.Number).Int64()
		if err != nil {
			continue
		}
		s.mu.Lock()
		current.got[number]++
		s.mu.Unlock()
	}
}

// read is a message, or one with nil as its type if there is none.
func read(ctx context.Context, conn *websocket.Conn) []any {
	_, data, err := conn.Read(ctx)
	var message []any
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber()
	if err != nil || decoder.Decode(&message) != nil || len(message) == 0 {
		return []any{nil}
	}
	return message
}

// delivery is how the pushes of a load arrived at a subscriber.
type delivery struct {
	sessions int
	lost     int // pushed and answered while it was subscribed, and not received
	tails    int // the same, but after the last event of a session that was ended: its GOODBYE was on the way
	doubled  int // received twice in one session
	gaps     int // accepted while it was not subscribed, or about to be or not to be
}

// judge holds what a subscriber got against the accepted pushes.
func (s *subscriber) judge(l *load) (d delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d.sessions = len(s.sessions)
	last := make(map[*session]time.Time) // when the newest push that arrived was sent
	for _, session := range s.sessions {
		for number := range session.got {
			if sent := l.pushes[number].sent; sent.After(last[session]) {
				last[session] = sent
			}
		}
	}
	for number, p := range l.pushes {
		received := false
		for _, session := range s.sessions {
			times := session.got[number]
			received = received || times > 0
			if times > 1 {
				d.doubled++
			}
			subscribed := p.sent.After(session.from) && (session.until.IsZero() || p.answered.Before(session.until))
			switch {
			case !subscribed || times > 0:
			case !session.until.IsZero() && p.answered.After(last[session]):
				d.tails++
			default:
				d.lost++
			}
		}
		if !received {
			d.gaps++
		}
	}
	return d
}

// settle waits until the subscriber has the last push that was accepted.
func (s *subscriber) settle(t testing.TB, l *load) {
	t.Helper()
	last := int64(0)
	for number := range l.pushes {
		last = max(last, number)
	}
	deadline := time.Now().Add(patience)
	for {
		s.mu.Lock()
		got := s.sessions[len(s.sessions)-1].got[last] > 0
		s.mu.Unlock()
		if got {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("the last push, %d, did not arrive", last)
			return
		}
		<-time.After(10 * time.Millisecond)
	}
}
