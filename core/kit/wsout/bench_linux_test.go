package wsout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pushbridge/bridge/integration/bench/swarm"
)

// fanOut is what a benchmark measures: a way to give a frame to all.
type fanOut struct {
	swarm   *swarm.Swarm
	sockets int
	number  int // of the last event
	writer  *Writer
	group   *Group
	conns   []*Conn
	closed  chan End
}

// Message implements Handler.
func (f *fanOut) Message([]byte, bool) {}

// Closed implements Handler.
func (f *fanOut) Closed(end End) { f.closed <- end }

func newFanOut(tb testing.TB, sockets int) *fanOut {
	tb.Helper()
	raiseLimit(tb)
	f := &fanOut{sockets: sockets, writer: New(Options{}), closed: make(chan End, sockets)}
	f.group = f.writer.NewGroup()
	settings := DefaultSettings()
	settings.QueueMessages, settings.QueueBytes = 1<<20, 1<<30
	accepted := make(chan *Conn, sockets)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := f.writer.Accept(w, r, &settings)
		if err != nil {
			return
		}
		f.group.Join(conn)
		conn.Serve(f)
		accepted <- conn
	}))
	var err error
	f.swarm, err = swarm.Start(swarm.Order{Address: server.Listener.Addr().String(), Path: "/", Sockets: sockets})
	if err != nil {
		tb.Fatal(err)
	}
	for range sockets {
		f.conns = append(f.conns, <-accepted)
	}
	tb.Cleanup(func() {
		f.swarm.Stop()
		if err := f.writer.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		server.Close()
	})
	return f
}

func raiseLimit(tb testing.TB) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		tb.Fatal(err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		tb.Fatal(err)
	}
}

// payload is the next event of 256 bytes.
func (f *fanOut) payload(due time.Time) []byte {
	f.number++
	mark := swarm.Mark(f.number, due)
	return append([]byte(mark), bytes.Repeat([]byte("x"), 256-len(mark))...)
}

// ways are what is compared. Each returns a function that hands an event over,
// and one that ends it.
func (f *fanOut) ways() map[string]func() (give func([]byte), end func()) {
	return map[string]func() (func([]byte), func()){
		"wsout": func() (func([]byte), func()) {
			return func(payload []byte) { f.group.Broadcast(Text(payload)) }, func() {}
		},
		// One goroutine that calls write(2) for each socket and event.
		"plain": func() (func([]byte), func()) {
			events := make(chan []byte, 64)
			ended := make(chan struct{})
			fds := f.descriptors()
			go func() {
				defer close(ended)
				for payload := range events {
					frame := Text(payload).plain
					for _, fd := range fds {
						writeAllTo(fd, frame)
					}
				}
			}()
			return func(payload []byte) { events <- payload }, func() { close(events); <-ended }
		},
	}
}

func (f *fanOut) descriptors() []int {
	var fds []int
	for _, c := range f.conns {
		_ = c.socket.Control(func(fd uintptr) { fds = append(fds, int(fd)) })
	}
	return fds
}

func writeAllTo(fd int, data []byte) {
	for len(data) > 0 {
		n, err := syscall.Write(fd, data)
		if errors.Is(err, syscall.EAGAIN) {
			runtime.Gosched()
			continue
		}
		if err != nil {
			panic(err)
		}
		data = data[n:]
	}
}

// result is what one round measured.
type result struct {
	rate     float64 // deliveries a second
	cpu      float64 // µs of this process per delivery
	p50, p99 time.Duration
}

// closed keeps window events undelivered, if window is not 0; else rate events
// are given a second.
func (f *fanOut) measure(tb testing.TB, way string, duration time.Duration, window int, rate float64) result {
	tb.Helper()
	runtime.GC()
	give, end := f.ways()[way]()
	if _, err := f.swarm.Report(); err != nil {
		tb.Fatal(err)
	}
	before, begin, first := cpu(tb), time.Now(), f.number
	for time.Since(begin) < duration {
		due := time.Now()
		if window > 0 {
			if err := f.swarm.Await(f.number - window + 1); err != nil {
				tb.Fatal(err)
			}
		} else {
			due = begin.Add(time.Duration(float64(f.number-first) / rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		give(f.payload(due))
	}
	if err := f.swarm.Await(f.number); err != nil {
		tb.Fatal(err)
	}
	took, used := time.Since(begin), cpu(tb)-before
	end()
	report, err := f.swarm.Report()
	if err != nil {
		tb.Fatal(err)
	}
	deliveries := (f.number - first) * f.sockets
	if report.Lost+report.Closed > 0 || report.Deliveries != deliveries {
		tb.Fatalf("%s: %+v, want %d deliveries", way, report, deliveries)
	}
	return result{
		rate: float64(deliveries) / took.Seconds(), cpu: float64(used.Nanoseconds()) / 1000 / float64(deliveries),
		p50: report.P50, p99: report.P99,
	}
}

func cpu(tb testing.TB) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// TestCrowd: many come at once, all get everything in order, all are sent away
// with the code, and it does not take the close timeout of one after the other.
func TestCrowd(t *testing.T) {
	const events = 100
	f := newFanOut(t, 500)
	for range events {
		f.group.Broadcast(Text(f.payload(time.Now())))
	}
	if err := f.swarm.Await(events); err != nil {
		t.Fatal(err)
	}
	report, err := f.swarm.Report()
	if err != nil || report.Lost > 0 || report.Deliveries != events*len(f.conns) {
		t.Errorf("%+v %v", report, err)
	}
	for _, c := range f.conns {
		c.Close(CodeGoingAway, "")
	}
	for range f.conns {
		if end := receive(t, f.closed); end.Code != CodeGoingAway || end.Remote {
			t.Errorf("%+v", end)
		}
	}
	if f.writer.Len() != 0 || f.group.Len() != 0 {
		t.Errorf("%d connections, %d in the group", f.writer.Len(), f.group.Len())
	}
}

// BenchmarkFanOut compares, in turns within one run, a group with a plain loop
// over the same sockets. The ratios count; medians of the iterations.
//
//	go test -run '^$' -bench FanOut -benchtime 5x ./core/kit/wsout
func BenchmarkFanOut(b *testing.B) {
	for _, load := range []struct {
		sockets, window int
		rate            float64
	}{{1000, 8, 0}, {1000, 0, 80}, {5000, 8, 0}, {5000, 0, 16}} {
		b.Run(fmt.Sprintf("sockets=%d/window=%d/rate=%v", load.sockets, load.window, load.rate), func(b *testing.B) {
			f := newFanOut(b, load.sockets)
			var rates, costs, p99s, ratioRate, ratioCost, ratioP99 []float64
			for b.Loop() {
				plain := f.measure(b, "plain", 2*time.Second, load.window, load.rate)
				ours := f.measure(b, "wsout", 2*time.Second, load.window, load.rate)
				b.Logf("plain %+v, wsout %+v", plain, ours)
				rates, costs = append(rates, ours.rate), append(costs, ours.cpu)
				p99s = append(p99s, float64(ours.p99.Microseconds())/1000)
				ratioRate = append(ratioRate, ours.rate/plain.rate)
				ratioCost = append(ratioCost, ours.cpu/plain.cpu)
				ratioP99 = append(ratioP99, float64(ours.p99)/float64(plain.p99))
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(median(rates), "deliveries/s")
			b.ReportMetric(median(costs), "µs/delivery")
			b.ReportMetric(median(p99s), "p99-ms")
			b.ReportMetric(median(ratioRate), "rate/plain")
			b.ReportMetric(median(ratioCost), "cpu/plain")
			b.ReportMetric(median(ratioP99), "p99/plain")
		})
	}
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// BenchmarkIdle reports the resident memory of a connection that does nothing,
// with what the burst of 10,000 handshakes left behind and without, and what it
// takes to close them all.
func BenchmarkIdle(b *testing.B) {
	const sockets = 10_000
	debug.FreeOSMemory()
	before := resident(b)
	begin := time.Now()
	f := newFanOut(b, sockets)
	took := time.Since(begin)
	burst := resident(b)
	debug.FreeOSMemory()
	b.ReportMetric(float64(burst-before)/sockets/1024, "burst-KiB/socket")
	b.ReportMetric(float64(resident(b)-before)/sockets/1024, "KiB/socket")
	b.ReportMetric(took.Seconds()*1e6/sockets, "µs/connect")
	b.ReportMetric(0, "ns/op")
	begin = time.Now()
	for _, c := range f.conns {
		c.Close(CodeGoingAway, "")
	}
	for range sockets {
		if end := <-f.closed; end.Code != CodeGoingAway {
			b.Errorf("%+v", end)
		}
	}
	b.ReportMetric(time.Since(begin).Seconds()*1e6/sockets, "µs/close")
}

func resident(tb testing.TB) int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		tb.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		tb.Fatal(err)
	}
	return pages * os.Getpagesize()
}
