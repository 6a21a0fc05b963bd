package crossbar

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pushbridge/bridge/core"
)

// An answer about a permission is remembered for so long, counted from the
// question, and at most so many are.
const (
	permissionAge  = time.Second
	maxPermissions = 4096
)

// permissionID is what a permission is about.
type permissionID struct{ realm, topic, role string }

// permission is the answer of the outputs, or the question under way.
type permission struct {
	asked time.Time
	done  chan struct{} // closed when the rest is set

	denied *core.Authorization // nil: allowed
	err    error
}

// permissions asks the outputs of the route who may publish where, once a second
// at most for each realm, topic and role.
type permissions struct {
	host core.Host

	mu    sync.Mutex
	known *recent[permissionID, *permission]
}

func newPermissions(host core.Host) *permissions {
	return &permissions{host: host, known: newRecent[permissionID, *permission](maxPermissions)}
}

// ask returns nil if the role may publish on the topic, else the refusal. The
// error is that nobody could say.
func (p *permissions) ask(ctx context.Context, id permissionID, now time.Time) (denied *core.Authorization, err error) {
	answer, mine := p.find(id, now)
	if mine {
		answer.denied, answer.err = p.call(ctx, id)
		close(answer.done)
		if answer.err != nil {
			p.forget(id, answer)
		}
		return answer.denied, answer.err
	}
	select {
	case <-answer.done:
		return answer.denied, answer.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// find returns the permission, and whether the caller is to ask for it.
func (p *permissions) find(id permissionID, now time.Time) (answer *permission, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer, known := p.known.get(id)
	if known && now.Sub(answer.asked).Abs() < permissionAge {
		return answer, false
	}
	answer = &permission{asked: now, done: make(chan struct{})}
	p.known.put(id, answer)
	return answer, true
}

// forget makes the next request ask again.
func (p *permissions) forget(id permissionID, failed *permission) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if answer, known := p.known.get(id); known && answer == failed {
		answer.asked = time.Time{}
	}
}

// call asks the outputs. Those that do not own the realm do not answer; no answer
// means that everybody may publish.
func (p *permissions) call(ctx context.Context, id permissionID) (denied *core.Authorization, err error) {
	question, err := core.NewCall(core.OpPublishAuthorize, id.realm, id.topic, core.AuthorizeParams{Role: id.role})
	if err != nil {
		return nil, err
	}
	answers, err := p.host.Call(ctx, question)
	if err != nil {
		return nil, fmt.Errorf("ask who may publish: %w", err)
	}
	for _, answer := range answers {
		var authorization core.Authorization
		if err := answer.Decode(&authorization); err != nil {
			return nil, fmt.Errorf("ask who may publish: %w", err)
		}
		if authorization.Allowed {
			continue
		}
		if authorization.Error == "" {
			authorization.Error = errorNotAuthorized
		}
		return &authorization, nil
	}
	return nil, nil
}
