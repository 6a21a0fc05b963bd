package route

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/sockets"
)

// host is a process that is to run, or the place of instances without one, with
// the sockets that its instances listen on. The sockets outlive its runs, so that
// clients of one that has died wait for the next.
//
// Its life: up and serve by who makes it; then supervise, in a goroutine of its
// own, until end; then retireSources and retireSinks.
type host struct {
	env         Environment
	log         *slog.Logger
	generations *generations

	// work is held by who starts, reconfigures or ends the run.
	work    sync.Mutex
	sockets map[string]*sockets.Socket // by address; none for a plugin that binds by itself

	ctx    context.Context // lives while it is supervised
	cancel context.CancelFunc
	ended  chan struct{} // closed when supervise has returned
	kicked chan struct{} // capacity 1: a second wish to try again at once adds nothing

	mu       sync.Mutex
	plan     *hostPlan
	run      *run // nil while there is none
	state    State
	problem  string
	problems map[string]string // of instances that are degraded
	restarts int
}

func newHost(env Environment, log *slog.Logger, g *generations, plan *hostPlan) *host {
	h := &host{
		env: env, log: log, generations: g, plan: plan, state: StateOpening,
		sockets: make(map[string]*sockets.Socket), problems: make(map[string]string),
		ended: make(chan struct{}), kicked: make(chan struct{}, 1),
	}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h
}

// up opens the host's sockets and instances and starts those that stand in
// outbound, in a run that was started already or in a new one. When it fails,
// nothing of the run is left; the sockets stay.
func (h *host) up(ctx context.Context, r *run) (err error) {
	h.work.Lock()
	defer h.work.Unlock()
	plan := h.current()
	if r == nil {
		if r, err = startRun(ctx, h.env, h.log, plan, h.descriptor); err != nil {
			return err
		}
		if err := h.describe(ctx, r); err != nil {
			r.close()
			return err
		}
	}
	if err := h.open(ctx, r, plan); err != nil {
		h.abandon(r, nil)
		return err
	}
	for _, m := range r.members {
		h.generations.join(m.instance)
	}
	if err := startMembers(ctx, h.env.Supervision.StartTimeout, r.sinks()); err != nil {
		h.abandon(r, nil)
		return err
	}
	for _, m := range r.members {
		h.generations.add(m.instance)
	}
	h.mu.Lock()
	h.run = r
	h.mu.Unlock()
	return nil
}

// describe has a new process say whether it takes over sockets.
func (h *host) describe(ctx context.Context, r *run) error {
	ctx, cancel := context.WithTimeout(ctx, h.env.Supervision.StartTimeout)
	defer cancel()
	_, err := r.adapters(h.env.Registry).Describe(ctx)
	return err
}

// serve starts the instances that stand in inbound. When it fails, nothing of the
// run is left.
func (h *host) serve(ctx context.Context) error {
	h.work.Lock()
	defer h.work.Unlock()
	r := h.running()
	if err := startMembers(ctx, h.env.Supervision.StartTimeout, r.sources()); err != nil {
		h.setRun(nil)
		h.abandon(r, nil)
		return err
	}
	for _, socket := range h.sockets {
		socket.Hold()
	}
	h.setState(StateReady, "")
	return nil
}

func (h *host) open(ctx context.Context, r *run, plan *hostPlan) error {
	if !r.bindsItself() {
		if err := h.openSockets(ctx, plan); err != nil {
			return err
		}
	}
	for _, mp := range plan.members {
		if err := r.open(ctx, h.env, mp); err != nil {
			return err
		}
	}
	return nil
}

func (h *host) openSockets(ctx context.Context, plan *hostPlan) error {
	ctx, cancel := context.WithTimeout(ctx, h.env.Supervision.StartTimeout)
	defer cancel()
	for _, mp := range plan.members {
		for _, a := range mp.addresses {
			if h.sockets[a.Listen] != nil {
				continue
			}
			socket, err := h.env.Sockets.Open(ctx, a.Listen)
			if err != nil {
				return fmt.Errorf("%s: %w", mp.instance.Name, err)
			}
			h.mu.Lock()
			h.sockets[a.Listen] = socket
			h.mu.Unlock()
		}
	}
	return nil
}

// descriptor is how an instance of the host gets at a socket. It is called while
// the work lock is held by who opens or starts the instance.
func (h *host) descriptor(_ context.Context, instance, address string) (int, error) {
	h.mu.Lock()
	socket := h.sockets[address]
	h.mu.Unlock()
	if socket == nil {
		return -1, fmt.Errorf("%s may not listen on %s: its configuration does not name it", instance, address)
	}
	return socket.Descriptor()
}

// reconfigure gives the instances whose configuration differs the one of plan, in
// place. A host that does not run takes it for its next start. The error is
// core.ErrRestart if an instance cannot; then nothing has changed.
func (h *host) reconfigure(ctx context.Context, plan *hostPlan) error {
	h.work.Lock()
	defer h.work.Unlock()
	before := h.current()
	if r := h.running(); r != nil {
		if err := h.reconfigureRun(ctx, r, before, plan); err != nil {
			return err
		}
	}
	h.takeOver(plan)
	return nil
}

// goOn takes over a plan that asks nothing else of the instances than the one
// before.
func (h *host) goOn(plan *hostPlan) {
	h.work.Lock()
	defer h.work.Unlock()
	h.takeOver(plan)
}

// takeOver is called with the work lock held.
func (h *host) takeOver(plan *hostPlan) {
	h.mu.Lock()
	h.plan = plan
	r := h.run
	h.mu.Unlock()
	if r == nil {
		h.kick()
	}
}

// restore gives the instances the configuration back that they had before. A
// process that does not take it is ended, so that its successor has it.
func (h *host) restore(ctx context.Context, before *hostPlan) error {
	err := h.reconfigure(ctx, before)
	if err == nil || ctx.Err() != nil {
		return err
	}
	h.work.Lock()
	defer h.work.Unlock()
	if r := h.running(); r != nil && r.process != nil {
		h.takeOver(before)
		r.close()
	}
	return err
}

func (h *host) reconfigureRun(ctx context.Context, r *run, before, plan *hostPlan) error {
	limit := h.env.Supervision.StartTimeout
	for n, m := range r.members {
		if string(before.members[n].config) == string(plan.members[n].config) {
			continue
		}
		err := m.reconfigure(ctx, limit, plan.members[n].config)
		select {
		case <-r.ended():
			return nil // it died over it, or before; its next start will say what is wrong
		default:
		}
		if err != nil {
			for done, earlier := range r.members[:n] {
				err = errors.Join(err, earlier.reconfigure(ctx, limit, before.members[done].config))
			}
			return err
		}
	}
	return nil
}

func (m *member) reconfigure(ctx context.Context, limit time.Duration, config []byte) error {
	return limited(ctx, limit, "reconfigure "+m.instance.Name(), func(ctx context.Context) error {
		return m.instance.Reconfigure(ctx, config)
	})
}

// abandon ends a run that has failed: what its instances had in flight is
// answered, and events for them wait, or are refused if refusal is not nil.
func (h *host) abandon(r *run, refusal *core.Refusal) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, m := range r.members {
		h.generations.remove(m.instance, refusal)
	}
	if r.process != nil {
		r.close() // first, so that nothing waits for it
	}
	if err := stopMembers(ctx, r.members); err != nil {
		h.log.Debug("stop after a failure", "error", err)
	}
}

// discard ends a host that was never supervised.
func (h *host) discard() {
	h.work.Lock()
	defer h.work.Unlock()
	h.cancel()
	if r := h.running(); r != nil {
		h.setRun(nil)
		h.abandon(r, nil)
	}
	h.release()
}

// absent says what becomes of events for those of the host's instances that no
// other generation stands in for: they get refusal, or wait if it is nil.
func (h *host) absent(refusal *core.Refusal) {
	for _, mp := range h.current().members {
		h.generations.absent(mp.instance.Name, refusal)
	}
}

// end ends the supervision. The run goes on.
func (h *host) end() {
	h.cancel()
	<-h.ended
}

// retireSources lets the instances that stand in inbound finish and stops them,
// until ctx ends. The host has been ended. One that takes events too gets none
// afterwards: they get refusal.
func (h *host) retireSources(ctx context.Context, refusal *core.Refusal) error {
	h.setState(StateDraining, "")
	r := h.running()
	if r == nil {
		return nil
	}
	err := errors.Join(drainMembers(ctx, r.sources()), stopMembers(ctx, r.sources()))
	for _, m := range r.sources() {
		h.generations.remove(m.instance, refusal)
	}
	return err
}

// retireSinks lets the other instances send their listeners away, stops them, and
// ends the run. Events that come for them meanwhile still reach them; afterwards,
// unless another generation takes them, they get refusal.
func (h *host) retireSinks(ctx context.Context, refusal *core.Refusal) error {
	var err error
	if r := h.running(); r != nil {
		err = drainMembers(ctx, r.sinks())
		for _, m := range r.members {
			h.generations.remove(m.instance, refusal)
		}
		err = errors.Join(err, stopMembers(ctx, r.sinks()))
		r.close()
		h.setRun(nil)
	}
	h.absent(refusal)
	h.release()
	h.setState(StateStopped, "")
	return err
}

// release gives up the sockets; those that no other generation has are closed.
func (h *host) release() {
	h.mu.Lock()
	held := h.sockets
	h.sockets = make(map[string]*sockets.Socket)
	h.mu.Unlock()
	for _, socket := range held {
		socket.Release()
	}
}

// kick has a host that waits before its next start, or has given up, try at once.
func (h *host) kick() {
	select {
	case h.kicked <- struct{}{}:
	default:
	}
}

func (h *host) current() *hostPlan {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.plan
}

func (h *host) running() *run {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.run
}

func (h *host) setRun(r *run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run = r
}

func (h *host) setState(state State, problem string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state, h.problem = state, problem
	clear(h.problems)
}
