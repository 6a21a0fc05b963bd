//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"syscall"
	"time"

	pushersocket "github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/bus"
	eventframe "github.com/pushbridge/bridge/core/frame"
	"github.com/pushbridge/bridge/core/peers"
	"github.com/pushbridge/bridge/core/services"
	"github.com/pushbridge/bridge/core/sockets"
	"github.com/pushbridge/bridge/core/state"
	"github.com/pushbridge/bridge/core/wire"
	"github.com/pushbridge/bridge/core/wire/process"
	"github.com/pushbridge/bridge/integration/bench/swarm"
)

const roleSockets = "sockets"

func serveSockets() error {
	wire.Serve(pushersocket.Adapter{})
	return nil
}

// fanOutLoad is how events come: so many undelivered at a time, or so many a
// second.
type fanOutLoad struct {
	window int
	rate   float64
}

// fanOut measures a Pusher channel with that many subscribers, from the bus
// through the boundary to the clients, beside a loop that calls write(2) for each
// client and event, in turns.
func fanOut(clients int, load fanOutLoad) func(context.Context, options) error {
	return func(_ context.Context, o options) error {
		plain, err := newPlainLoop(clients)
		if err != nil {
			return err
		}
		defer plain.stop()
		pusher, err := newPusherChannel(clients)
		if err != nil {
			return err
		}
		defer pusher.stop()
		var ours, theirs []fanOutResult
		for range o.runs {
			for _, side := range []struct {
				of      *fanOutSide
				results *[]fanOutResult
			}{{&plain.fanOutSide, &theirs}, {&pusher.fanOutSide, &ours}} {
				result, err := side.of.measure(o.duration, load)
				if err != nil {
					return err
				}
				*side.results = append(*side.results, result)
			}
		}
		printFanOut("pusher-socket", ours)
		printFanOut("write(2) loop", theirs)
		ratio := func(of func(fanOutResult) float64) float64 {
			var ratios []float64
			for i := range ours {
				ratios = append(ratios, of(ours[i])/of(theirs[i]))
			}
			return median(ratios)
		}
		fmt.Printf("  ratios         %9.2f deliveries/s, %.2f CPU, %.2f p99\n", ratio(func(r fanOutResult) float64 { return r.rate }),
			ratio(func(r fanOutResult) float64 { return r.cost }), ratio(func(r fanOutResult) float64 { return float64(r.p99) }))
		return nil
	}
}

// idle measures the memory of clients that are subscribed to a channel and get
// nothing, after a burst in which all of them came.
func idle(clients int) func(context.Context, options) error {
	return func(context.Context, options) error {
		pusher, err := newPusherChannel(clients)
		if err != nil {
			return err
		}
		defer pusher.stop()
		resident, err := residentOf(pusher.pids[1])
		if err != nil {
			return err
		}
		fmt.Printf("  %.1f KiB resident per client, in the plugin\n", float64(resident-pusher.empty)/1024/float64(clients))
		return nil
	}
}

func printFanOut(name string, results []fanOutResult) {
	var rates, costs []float64
	var p50, p99 []time.Duration
	for _, r := range results {
		rates, costs = append(rates, r.rate), append(costs, r.cost)
		p50, p99 = append(p50, r.p50), append(p99, r.p99)
	}
	fmt.Printf("  %-14s %9.0f deliveries/s  %5.2f µs CPU each over all processes but the clients'  p50 %v p99 %v\n",
		name, median(rates), median(costs), median(p50), median(p99))
}

// fanOutResult is one run.
type fanOutResult struct {
	rate     float64 // deliveries a second
	cost     float64 // µs of CPU per delivery
	p50, p99 time.Duration
}

// fanOutSide is one of those that are compared.
type fanOutSide struct {
	swarm  *swarm.Swarm
	number int // of the last event
	pids   []int
	give   func(data []byte) error
}

// measure gives events for a while and waits until all are delivered.
func (s *fanOutSide) measure(duration time.Duration, load fanOutLoad) (fanOutResult, error) {
	if _, err := s.swarm.Report(); err != nil {
		return fanOutResult{}, err
	}
	before, err := cpuOf(s.pids...)
	if err != nil {
		return fanOutResult{}, err
	}
	begin, first := time.Now(), s.number
	for time.Since(begin) < duration {
		due := time.Now()
		if load.window > 0 {
			if err := s.swarm.Await(s.number - load.window + 1); err != nil {
				return fanOutResult{}, err
			}
		} else {
			due = begin.Add(time.Duration(float64(s.number-first) / load.rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		s.number++
		mark := swarm.Mark(s.number, due)
		if err := s.give(append([]byte(mark), bytes.Repeat([]byte("x"), 256-len(mark))...)); err != nil {
			return fanOutResult{}, err
		}
	}
	if err := s.swarm.Await(s.number); err != nil {
		return fanOutResult{}, err
	}
	took := time.Since(begin)
	after, err := cpuOf(s.pids...)
	if err != nil {
		return fanOutResult{}, err
	}
	report, err := s.swarm.Report()
	if err != nil {
		return fanOutResult{}, err
	}
	if report.Lost+report.Closed > 0 {
		return fanOutResult{}, fmt.Errorf("%d events were lost, %d clients cut off", report.Lost, report.Closed)
	}
	deliveries := float64(report.Deliveries)
	return fanOutResult{
		rate: deliveries / took.Seconds(), cost: float64((after - before).Microseconds()) / deliveries,
		p50: report.P50, p99: report.P99,
	}, nil
}

// pusherChannel is the adapter in its plugin, and a bus in this process that
// events are published on.
type pusherChannel struct {
	fanOutSide
	empty int // resident bytes of the plugin before the first client
	stop  func()
}

func newPusherChannel(clients int) (*pusherChannel, error) {
	raiseDescriptors()
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	b, open := bus.New(), sockets.New()
	plugin, err := process.Start(ctx, process.Options{
		Name: "sockets", Path: self, RuntimeDir: dir, Bus: b, Env: []string{envRole + "=" + roleSockets},
		Services: services.Services{
			Socket: func(ctx context.Context, _, address string) (int, error) {
				opened, err := open.Open(ctx, address)
				if err != nil {
					return -1, err
				}
				defer opened.Release()
				return opened.Descriptor()
			},
			Peers: peers.NewRegistry(), State: state.New(),
		},
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	p := &pusherChannel{stop: func() { plugin.Kill(); os.RemoveAll(dir) }}
	p.pids = []int{os.Getpid(), plugin.Pid()}
	if err := p.open(ctx, b, plugin, address, clients); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

func (p *pusherChannel) open(ctx context.Context, b *bus.Bus, plugin *process.Process, address string, clients int) error {
	config, err := json.Marshal(map[string]any{
		"listen": address, "apps": []any{map[string]any{"id": "app", "key": "key", "secret": "secret"}},
	})
	if err != nil {
		return err
	}
	sink, err := plugin.Open(ctx, pushersocket.Adapter{}.Describe(), "sockets", config)
	if err != nil {
		return err
	}
	b.Target("sockets").Run(sink.Info(), sink)
	edge := bus.NewEdge(b.Target("sockets"), bus.EdgeOptions{Route: "bench", Overflow: bus.OverflowBlock})
	b.SetTable(bus.NewTable([]bus.Route{{Name: "bench", Sources: []string{"source"}, Edges: []*bus.Edge{edge}}}))
	if err := sink.Start(ctx); err != nil {
		return err
	}
	publisher, done := b.Publisher("source"), make(published, 1)
	p.give = func(data []byte) error {
		f, err := eventframe.Encode(&core.Event{Topic: "channel", Name: "event", Type: core.TypeText, Data: data})
		if err != nil {
			return err
		}
		publisher.Publish([]bus.Publication{{Frames: []eventframe.Frame{f}, Ack: core.AckQueued}}, time.Now(), 1, done)
		if result := <-done; result.Err != nil {
			return result.Err
		}
		return nil
	}
	if p.empty, err = residentOf(plugin.Pid()); err != nil {
		return err
	}
	stop := p.stop
	p.swarm, err = swarm.Start(swarm.Order{
		Address: address, Path: "/app/key?protocol=7", Sockets: clients,
		Say: `{"event":"pusher:subscribe","data":{"channel":"channel"}}`, Hear: "subscription_succeeded",
	})
	if err != nil {
		return err
	}
	p.stop = func() {
		p.swarm.Stop()
		edge.Close(ctx)
		_ = sink.Stop(ctx) // the plugin is killed next
		stop()
	}
	return nil
}

// published takes the result of a publication.
type published chan bus.Result

// PublicationsDone implements bus.Replier.
func (p published) PublicationsDone(_ uint64, _ int, result bus.Result) { p <- result }

// plainLoop is the baseline: one goroutine that calls write(2).
type plainLoop struct {
	fanOutSide
	stop func()
}

func newPlainLoop(clients int) (*plainLoop, error) {
	raiseDescriptors()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	accepted := make(chan acceptResult, 1)
	go func() {
		files, err := acceptAll(listener, clients)
		accepted <- acceptResult{files, err}
	}()
	p := &plainLoop{}
	p.swarm, err = swarm.Start(swarm.Order{Address: listener.Addr().String(), Path: "/", Sockets: clients})
	if err != nil {
		return nil, err
	}
	got := <-accepted
	if got.err != nil {
		return nil, got.err
	}
	events := make(chan []byte, 64) // more than any window
	failed := make(chan error, 1)
	go func() {
		for data := range events {
			if err := writeToAll(got.conns, data); err != nil {
				failed <- err
				return
			}
		}
	}()
	p.pids = []int{os.Getpid()}
	p.give = func(data []byte) error {
		select {
		case events <- data:
			return nil
		case err := <-failed:
			return err
		}
	}
	p.stop = func() {
		close(events)
		p.swarm.Stop()
		for _, c := range got.conns {
			c.file.Close()
		}
	}
	return p, nil
}

type acceptResult struct {
	conns []plainConn
	err   error
}

// plainConn is a socket of the baseline, without the runtime's poller.
type plainConn struct {
	file *os.File
	fd   int
}

// acceptAll accepts so many WebSockets, with as little as the swarm needs.
func acceptAll(listener net.Listener, clients int) ([]plainConn, error) {
	var conns []plainConn
	request := make([]byte, 4096)
	for range clients {
		conn, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		if _, err := conn.Read(request); err != nil {
			return nil, err
		}
		if _, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n")); err != nil {
			return nil, err
		}
		file, err := conn.(*net.TCPConn).File()
		conn.Close()
		if err != nil {
			return nil, err
		}
		conns = append(conns, plainConn{file, int(file.Fd())})
	}
	return conns, nil
}

// writeToAll sends an event of 256 bytes as the adapter frames it, near enough.
func writeToAll(conns []plainConn, data []byte) error {
	message := fmt.Appendf(nil, `{"event":"event","channel":"channel","data":"%s"}`, data)
	event := append([]byte{0x81, 126, byte(len(message) >> 8), byte(len(message))}, message...)
	for _, c := range conns {
		for rest := event; len(rest) > 0; {
			n, err := syscall.Write(c.fd, rest)
			switch {
			case errors.Is(err, syscall.EAGAIN):
				runtime.Gosched()
			case err != nil:
				return err
			default:
				rest = rest[n:]
			}
		}
	}
	return nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// raiseDescriptors lets this process, and those that it starts, have as many
// connections as the system allows.
func raiseDescriptors() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) // else connecting says what is missing
	}
}
