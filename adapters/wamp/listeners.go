package wamp

import (
	"encoding/json"
	"slices"

	"github.com/pushbridge/bridge/core"
)

// answerListeners answers what is asked about the clients of this router.
func (i *routerInstance) answerListeners(call core.Call) core.Answer {
	if call.Op == core.OpListenersCount {
		return core.NewAnswer(core.Listeners{Connections: i.router.Sessions()})
	}
	realm, refusal := i.realmOf(call.Space)
	if refusal != nil {
		return core.Answer{None: true}
	}
	switch call.Op {
	case core.OpChannelsList:
		return decoded(call, func(p core.ChannelsParams) any { return i.channels(realm, p) })
	case core.OpChannelsGet:
		return decoded(call, func(p core.ChannelParams) any { return i.channel(realm, call.Topic, p.Users) })
	case core.OpChannelsMembers:
		return core.NewAnswer(core.Members{Known: true, Users: i.router.Users(realm, call.Topic)})
	case core.OpUserDisconnect:
		return decoded(call, func(p core.UserParams) any {
			return core.Disconnected{Connections: i.router.Disconnect(realm, p.User)}
		})
	}
	return core.Answer{None: true}
}

// decoded answers with what answer makes of the call's parameters, which may be
// absent.
func decoded[T any](call core.Call, answer func(T) any) core.Answer {
	var params T
	if len(call.Params) > 0 {
		if err := json.Unmarshal(call.Params, &params); err != nil {
			return core.Answer{Err: core.Refuse(core.CodeInvalidEvent, "parameters of call %s: %v", call.Op, err)}
		}
	}
	return core.NewAnswer(answer(params))
}

func (i *routerInstance) channels(realm string, params core.ChannelsParams) core.Channels {
	channels := core.Channels{Channels: make(map[string]core.Channel)}
	for topic, subscribed := range i.router.Topics(realm, params.Prefix) {
		if len(params.Names) > 0 && !slices.Contains(params.Names, topic) {
			continue
		}
		channel := core.Channel{Subscriptions: subscribed}
		if params.Users {
			channel.Users = i.router.Users(realm, topic)
		}
		channels.Channels[topic] = channel
	}
	return channels
}

func (i *routerInstance) channel(realm, topic string, users bool) core.Channel {
	channel := core.Channel{Subscriptions: i.router.Topics(realm, topic)[topic]}
	if users {
		channel.Users = i.router.Users(realm, topic)
	}
	return channel
}
