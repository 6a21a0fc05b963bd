package rest

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/core"
)

// isOver reports whether an error is that time ran out.
func isOver(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// ask puts a question to the sinks that have listeners and merges their answers.
// Where none of them has any, or none knows the app, there is nobody: merge makes
// that of no answers. An error of one is an error of all, because half of an
// answer would look like the whole.
func ask[T any](ctx context.Context, x *exchange, op, topic string, params any, merge func([]core.Answer) (T, error)) (T, *fault) {
	var none T
	call, err := core.NewCall(op, string(x.app.ID), topic, params)
	if err != nil {
		return none, unavailable(0, err)
	}
	answers, err := x.host.Call(ctx, call)
	if err != nil {
		return none, noAnswer(err)
	}
	merged, err := merge(answers)
	if err != nil {
		return none, noAnswer(err)
	}
	return merged, nil
}

func noAnswer(err error) *fault {
	var refusal *core.Refusal
	if errors.As(err, &refusal) {
		return unavailable(refusal.After, err)
	}
	return unavailable(0, err)
}

func (x *exchange) listChannels(ctx context.Context, params core.ChannelsParams) (map[string]core.Channel, *fault) {
	list, wrong := ask(ctx, x, core.OpChannelsList, "", params, core.MergeChannels)
	return list.Channels, wrong
}

// getChannels lists the occupied channels.
func (x *exchange) getChannels(ctx context.Context) reply {
	prefix := x.query.Get("filter_by_prefix")
	wanted, wrong := parseInfo(x.query.Get("info"), userCount|subscriptionCount)
	if wrong != nil {
		return reply{fault: wrong}
	}
	if wanted&userCount != 0 && !strings.HasPrefix(prefix, "presence-") {
		return reply{fault: badField("info: user_count is for presence channels alone: give a filter_by_prefix that begins with presence-")}
	}
	list, wrong := x.listChannels(ctx, core.ChannelsParams{Prefix: prefix, Users: wanted&userCount != 0})
	if wrong != nil {
		return reply{fault: wrong}
	}
	b := []byte(`{"channels":{`)
	for _, name := range slices.Sorted(maps.Keys(list)) {
		if list[name].Subscriptions == 0 || channel.KindOf(name) == channel.User {
			continue
		}
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(b, encode(name)...) // listeners of other protocols are on topics of any name
		b = appendAttributes(append(b, ':'), name, wanted, list[name])
	}
	return reply{body: append(b, `}}`...)}
}

// checkChannel returns the kind of the channel of the path.
func (x *exchange) checkChannel() (channel.Kind, *fault) {
	kind := channel.KindOf(x.route.channel)
	if kind == channel.User || kind == channel.Reserved {
		return kind, badField("channel %q: no channel begins with #", clip(x.route.channel))
	}
	if err := channel.Check(x.route.channel, x.app.Limits.ChannelNames()); err != nil {
		return kind, badField("%v", err)
	}
	return kind, nil
}

// getChannel tells the state of one channel. Its old form has another name for the
// number of subscriptions.
func (x *exchange) getChannel(ctx context.Context) reply {
	kind, wrong := x.checkChannel()
	if wrong != nil {
		return reply{fault: wrong}
	}
	allowed := userCount | subscriptionCount | cached
	if x.route.operation == opGetStats {
		allowed = userCount | connectionCount | cached
	}
	wanted, wrong := parseInfo(x.query.Get("info"), allowed)
	switch {
	case wrong != nil:
		return reply{fault: wrong}
	case wanted&userCount != 0 && !kind.IsPresence():
		return reply{fault: badField("info: user_count is for presence channels alone")}
	case wanted&cached != 0 && !kind.Caches():
		return reply{fault: badField("info: cache is for cache channels alone")}
	}
	params := core.ChannelParams{Users: wanted&userCount != 0, Cache: wanted&cached != 0}
	state, wrong := ask(ctx, x, core.OpChannelsGet, x.route.channel, params, core.MergeChannel)
	if wrong != nil {
		return reply{fault: wrong}
	}
	b := []byte(`{"occupied":false`)
	if state.Subscriptions > 0 {
		b = []byte(`{"occupied":true`)
	}
	if wanted&cached != 0 {
		b = append(append(b, `,"cache":`...), x.cache(state.Cached)...)
	}
	more := appendAttributes(nil, x.route.channel, wanted, state)
	if len(more) > len(emptyObject) {
		more[0] = ','
		return reply{body: append(b, more...)}
	}
	return reply{body: append(b, '}')}
}

// cache is what the answer says of a kept event.
func (x *exchange) cache(event *core.CachedEvent) []byte {
	if event == nil {
		return []byte("null")
	}
	left := event.Expires.Sub(x.now())
	if left <= 0 {
		return []byte("null")
	}
	text, err := json.Marshal(struct {
		Data string `json:"data"`
		TTL  int64  `json:"ttl"`
	}{event.Data, int64(left.Seconds())})
	if err != nil {
		return []byte("null") // a string and a number are always JSON
	}
	return text
}

// getUsers lists who is present.
func (x *exchange) getUsers(ctx context.Context) reply {
	kind, wrong := x.checkChannel()
	if wrong != nil {
		return reply{fault: wrong}
	}
	if !kind.IsPresence() {
		return reply{fault: badField("channel %q: users are known on presence channels alone", clip(x.route.channel))}
	}
	members, wrong := ask(ctx, x, core.OpChannelsMembers, x.route.channel, nil, core.MergeMembers)
	if wrong != nil {
		return reply{fault: wrong}
	}
	b := []byte(`{"users":[`)
	for i, id := range members.Users {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, `{"id":`...), encode(id)...), '}')
	}
	return reply{body: append(b, `]}`...)}
}

// terminate closes the connections of a user, wherever they are.
func (x *exchange) terminate(ctx context.Context) reply {
	if _, wrong := ask(ctx, x, core.OpUserDisconnect, "", core.UserParams{User: x.route.user}, core.MergeDisconnected); wrong != nil {
		return reply{fault: wrong}
	}
	return reply{body: []byte(emptyObject)}
}
