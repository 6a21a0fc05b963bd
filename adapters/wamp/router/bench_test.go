package router_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gammazero/nexus/v3/wamp"

	"github.com/pushbridge/bridge/adapters/wamp/codec"
	"github.com/pushbridge/bridge/adapters/wamp/router"
	"github.com/pushbridge/bridge/adapters/wamp/session"
)

// payload256 is about 256 bytes of JSON.
var payload256 = wamp.List{map[string]any{"id": int64(12345), "text": strings.Repeat("x", 200), "tags": []any{"a", "b"}}}

// subscriber is a connection that counts the frames it receives and does nothing
// else, so that a benchmark measures the router.
type subscriber struct {
	conn  net.Conn
	count *atomic.Int64
}

// connectSubscribers joins and subscribes n connections.
func connectSubscribers(b *testing.B, r *running, c *codec.Codec, n int, count *atomic.Int64) {
	for range n {
		conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "ws://"))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		request, _ := http.NewRequest("GET", "http"+strings.TrimPrefix(r.url, "ws"), nil)
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": c.Subprotocol(),
		} {
			request.Header.Set(name, value)
		}
		if err := request.Write(conn); err != nil {
			b.Fatal(err)
		}
		reader := bufio.NewReaderSize(conn, 64<<10)
		if _, err := http.ReadResponse(reader, request); err != nil {
			b.Fatal(err)
		}
		hello := &wamp.Hello{Realm: "realm1", Details: wamp.Dict{"roles": wamp.Dict{"subscriber": wamp.Dict{}}}}
		for _, msg := range []wamp.Message{hello, &wamp.Subscribe{Request: 1, Topic: "topic"}} {
			data, _ := c.Encode(msg)
			if _, err := conn.Write(maskedFrame(c, data)); err != nil {
				b.Fatal(err)
			}
			if err := skipFrame(reader); err != nil {
				b.Fatal(err)
			}
		}
		go subscriber{conn, count}.run(reader)
	}
}

func (s subscriber) run(reader *bufio.Reader) {
	for skipFrame(reader) == nil {
		s.count.Add(1)
	}
}

// skipFrame reads a server's frame.
func skipFrame(reader *bufio.Reader) error {
	header, err := reader.Peek(2)
	if err != nil {
		return err
	}
	length, skip := int(header[1]), 2
	if length == 126 {
		long, err := reader.Peek(4)
		if err != nil {
			return err
		}
		length, skip = int(long[2])<<8|int(long[3]), 4
	}
	_, err = reader.Discard(skip + length)
	return err
}

// maskedFrame is a client's frame of up to 64 KiB, masked with zeros.
func maskedFrame(c *codec.Codec, data []byte) []byte {
	kind := byte(0x81)
	if c.Binary() {
		kind = 0x82
	}
	frame := []byte{kind, 0x80 | 126, byte(len(data) >> 8), byte(len(data)), 0, 0, 0, 0}
	return append(frame, data...)
}

// BenchmarkFanOut measures deliveries to 1,000 subscribers, with at most 8
// publications on their way.
func BenchmarkFanOut(b *testing.B) {
	const subscribers, window = 1000, 8
	for _, name := range codec.Names() {
		b.Run(name, func(b *testing.B) {
			r := start(b, func(o *router.Options) { o.MaxSessions, o.Log = 2000, slogDiscard() })
			var count atomic.Int64
			connectSubscribers(b, r, codec.Named(name), subscribers, &count)
			own, err := r.Join(context.Background(), "realm1", "")
			if err != nil {
				b.Fatal(err)
			}
			defer own.Close(context.Background(), wamp.CloseRealm)
			before := cpuTime(b)
			b.ResetTimer()
			published := int64(0)
			for b.Loop() {
				publish(b, own)
				published++
				for published*subscribers-count.Load() > window*subscribers {
					time.Sleep(50 * time.Microsecond)
				}
			}
			for count.Load() < published*subscribers {
				time.Sleep(50 * time.Microsecond)
			}
			b.StopTimer()
			deliveries := float64(published * subscribers)
			b.ReportMetric(deliveries/b.Elapsed().Seconds(), "deliveries/s")
			b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/deliveries, "cpu-ns/delivery")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// publish publishes and waits for the answer.
func publish(b *testing.B, s *session.Session) {
	answered := make(chan session.Outcome, 1)
	err := s.Publish(context.Background(), &wamp.Publish{
		Options: wamp.Dict{"acknowledge": true}, Topic: "topic", Arguments: payload256,
	}, func(o session.Outcome) { answered <- o })
	if err != nil {
		b.Fatal(err)
	}
	if o := <-answered; o.Refused != nil || o.Lost != nil {
		b.Fatalf("%+v", o)
	}
}

// BenchmarkPublish measures the time to the answer with one subscriber.
func BenchmarkPublish(b *testing.B) {
	r := start(b, func(o *router.Options) { o.Log = slogDiscard() })
	var count atomic.Int64
	connectSubscribers(b, r, codec.Named("json"), 1, &count)
	own, err := r.Join(context.Background(), "realm1", "")
	if err != nil {
		b.Fatal(err)
	}
	defer own.Close(context.Background(), wamp.CloseRealm)
	for b.Loop() {
		publish(b, own)
	}
}

// BenchmarkPublishPipelined measures publications that do not wait for each
// other, without subscribers.
func BenchmarkPublishPipelined(b *testing.B) {
	r := start(b, func(o *router.Options) { o.Log = slogDiscard() })
	own, err := r.Join(context.Background(), "realm1", "")
	if err != nil {
		b.Fatal(err)
	}
	defer own.Close(context.Background(), wamp.CloseRealm)
	var open sync.WaitGroup
	for b.Loop() {
		open.Add(1)
		err := own.Publish(context.Background(), &wamp.Publish{
			Options: wamp.Dict{"acknowledge": true}, Topic: "topic", Arguments: payload256,
		}, func(session.Outcome) { open.Done() })
		if err != nil {
			b.Fatal(err)
		}
	}
	open.Wait()
}

// cpuTime is what this process has used, the subscribers included.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
