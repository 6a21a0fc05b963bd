package socket

import (
	"context"
	"time"

	"github.com/pushbridge/bridge/core"
)

// Deliver implements core.Sink. It waits while the writers are behind.
func (i *Instance) Deliver(ctx context.Context, batch core.Batch) error {
	if !i.deliveries.Enter(1) {
		return core.RefuseRetry(core.CodeNotRunning, time.Second, "the Pusher server is stopped")
	}
	defer i.deliveries.Leave(1)
	current := i.apps.Load()
	for n := range batch.Events {
		if err := i.writer.Wait(ctx); err != nil {
			return core.RefuseRetry(core.CodeNotRunning, time.Second, "the Pusher server is stopping")
		}
		batch.Answer(n, current.deliver(&batch.Events[n]))
	}
	return nil
}

// deliver hands one event to its app.
func (a *apps) deliver(e *core.Event) core.Receipt {
	to := a.forSpace(e.Space)
	if to == nil {
		return core.Receipt{Err: core.Refuse(core.CodeSpaceUnknown,
			"this server has several apps, none of them %q: name one with set.space", e.Space)}
	}
	return to.space.Deliver(e)
}

// Answer implements core.Answerer, for the connections of this generation.
func (i *Instance) Answer(_ context.Context, call core.Call) core.Answer {
	if call.Op == core.OpListenersCount {
		return core.NewAnswer(core.Listeners{Connections: i.writer.Len()})
	}
	e := i.apps.Load().forSpace(call.Space)
	if e == nil {
		return core.Answer{None: true}
	}
	switch call.Op {
	case core.OpChannelsList:
		return answer(call, e.space.Channels)
	case core.OpChannelsGet:
		return answer(call, func(asked core.ChannelParams) core.Channel { return e.space.Channel(call.Topic, asked) })
	case core.OpChannelsMembers:
		return core.NewAnswer(e.space.Members(call.Topic))
	case core.OpUserDisconnect:
		return answer(call, func(asked core.UserParams) core.Disconnected { return e.space.Disconnect(asked.User) })
	}
	return core.Answer{None: true}
}

// answer answers a call whose parameters may be left out.
func answer[P, A any](call core.Call, f func(P) A) core.Answer {
	var params P
	if len(call.Params) > 0 {
		if err := call.Decode(&params); err != nil {
			return core.Answer{Err: core.Refuse(core.CodeInvalidEvent, "%v", err)}
		}
	}
	return core.NewAnswer(f(params))
}
