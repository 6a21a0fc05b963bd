package route

import (
	"fmt"
	"time"

	"github.com/pushbridge/bridge/core"
)

// supervise keeps the host running until end: it waits for the run to die or to
// hang, and starts the next after a while. failure is what the first start came
// to, nil if the host runs.
func (h *host) supervise(failure error) {
	defer close(h.ended)
	failures := 0
	for {
		if failure == nil {
			since := time.Now()
			failure = h.watch()
			if h.ctx.Err() != nil {
				return
			}
			if time.Since(since) >= h.env.Supervision.Healthy {
				failures = 0
			}
		}
		failures++
		if !h.await(failures, failure) {
			return
		}
		if failures > h.env.Supervision.GiveUp {
			failures = 0 // somebody asked for another try
		}
		if failure = h.again(); h.ctx.Err() != nil {
			return
		}
	}
}

// watch returns why the run ended, or nil when the host is ended.
func (h *host) watch() error {
	r := h.running()
	ticks := time.NewTicker(h.env.Supervision.CheckEvery)
	defer ticks.Stop()
	for misses := 0; ; {
		select {
		case <-h.ctx.Done():
			return nil
		case <-r.ended():
			return h.died(r, r.process.Err())
		case <-ticks.C:
		}
		if h.check(r) {
			misses = 0
			continue
		}
		if misses++; misses >= 2 && r.process != nil {
			err := fmt.Errorf("the process (pid %d) answered no check for %s and was ended", r.pid(), 2*h.env.Supervision.CheckEvery)
			return h.died(r, err)
		}
	}
}

// check asks the instances how they are, and reports false if one did not answer
// in time.
func (h *host) check(r *run) (answered bool) {
	problems := make(map[string]string)
	answered = true
	for _, m := range r.members {
		ok, err := m.check(h.ctx, h.env.Supervision.CheckEvery)
		answered = answered && ok
		if err == nil {
			err = m.stuck()
		}
		if err != nil {
			problems[m.instance.Name()] = err.Error()
		}
	}
	if h.ctx.Err() != nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.state = StateReady
	if len(problems) > 0 {
		h.state = StateDegraded
	}
	for name, problem := range problems {
		if h.problems[name] == "" {
			h.log.Warn("an instance is not well", "instance", name, "problem", problem)
		}
	}
	h.problems = problems
	return answered
}

// died clears away what is left of a run. Events for its instances wait for the
// next.
func (h *host) died(r *run, err error) error {
	h.work.Lock()
	defer h.work.Unlock()
	h.setRun(nil)
	h.abandon(r, nil)
	return err
}

// await waits for the time of the next start, and reports false if the host was
// ended. Meanwhile clients and events wait, unless it takes too long for that.
func (h *host) await(failures int, failure error) bool {
	delay := h.env.Supervision.delay(failures)
	state, problem := StateBackingOff, failure.Error()
	var due <-chan time.Time
	if failures > h.env.Supervision.GiveUp {
		state = StateFailed
		problem = fmt.Sprintf("given up after %d failures in a row; a change of the file, or `bridge plugins restart`, tries again. The last: %s", failures, problem)
		h.log.Error("a plugin failed too often and is not started any more", "failures", failures, "error", failure)
	} else {
		h.log.Error("a plugin failed and is started again", "in", delay.Round(time.Millisecond), "failures", failures, "error", failure)
		timer := time.NewTimer(delay)
		defer timer.Stop()
		due = timer.C
	}
	h.setState(state, problem)
	if due == nil || delay > h.env.Supervision.RefuseAfter {
		h.refuse(state, delay)
	}
	select {
	case <-due:
	case <-h.kicked:
	case <-h.ctx.Done():
		return false
	}
	return true
}

// refuse has clients and events turned away while nobody will serve them.
func (h *host) refuse(state State, delay time.Duration) {
	h.work.Lock()
	defer h.work.Unlock()
	for address, socket := range h.sockets {
		if err := socket.Refuse(); err != nil {
			h.log.Warn("connections wait where nobody will serve them", "address", address, "error", err)
		}
	}
	h.absent(core.RefuseRetry(core.CodeNotRunning, delay, "its plugin is %s", state))
}

// again starts the host once more.
func (h *host) again() error {
	h.mu.Lock()
	h.restarts++
	h.mu.Unlock()
	h.setState(StateOpening, "")
	if err := h.up(h.ctx, nil); err != nil {
		return err
	}
	if err := h.serve(h.ctx); err != nil {
		return err
	}
	h.log.Info("a plugin is back", "pid", h.running().pid())
	return nil
}
