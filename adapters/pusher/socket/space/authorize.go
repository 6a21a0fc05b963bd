package space

import (
	"fmt"

	"github.com/pushbridge/bridge/adapters/pusher/app"
	"github.com/pushbridge/bridge/adapters/pusher/signature"
	"github.com/pushbridge/bridge/adapters/pusher/socket/protocol"
)

// refusal is why a subscription is refused.
type refusal struct {
	kind protocol.Kind
	text string
}

func unauthorized(format string, args ...any) *refusal {
	return &refusal{protocol.AuthError, fmt.Sprintf(format, args...)}
}

// authorize checks the signature of a subscription and returns the channel_data
// that it covers. The text is verified before anybody reads it.
func (l *Listener) authorize(a *app.App, name string, fields protocol.Fields) (channelData string, refused *refusal) {
	auth, ok := fields.String("auth")
	if !ok || auth == "" {
		return "", unauthorized("Auth info required to subscribe to %s", name)
	}
	key, signed, ok := signature.SplitAuth(auth)
	if !ok {
		return "", unauthorized("Auth value for subscription to %s is invalid: should be of format 'key:signature'", name)
	}
	pair, ok := a.Pair(key)
	if !ok {
		return "", unauthorized("Invalid key in subscription auth data: '%s'", clip(key))
	}
	if fields.Has("channel_data") {
		if channelData, ok = fields.String("channel_data"); !ok {
			return "", unauthorized("channel_data is invalid: want the text that was signed")
		}
	}
	if !pair.Secret.VerifyChannel(signed, l.socketID, name, channelData) {
		text := l.socketID + ":" + name
		if channelData != "" {
			text += ":" + clip(channelData)
		}
		return "", unauthorized("Invalid signature: Expected HMAC SHA256 hex digest of %s, but got %s", text, clip(signed))
	}
	return channelData, nil
}

// member is who the subscription to a presence channel makes of the connection:
// whom channel_data names, else the user who has signed in.
func (l *Listener) member(a *app.App, channelData string) (protocol.Member, *refusal) {
	m := protocol.Member{ID: l.identity.ID, Info: l.identity.Info}
	switch {
	case channelData != "":
		var err error
		if m, err = protocol.ParseMember(channelData); err != nil {
			return m, unauthorized("%v", err)
		}
	case l.user == nil:
		return m, unauthorized("channel_data is required to subscribe to a presence channel, unless the user has signed in")
	}
	if characters(m.ID) > a.Limits.UserID {
		return m, unauthorized("user_id has at most %d characters", a.Limits.UserID)
	}
	if size := m.Size(); size > int(a.Limits.PresenceMember) {
		return m, &refusal{protocol.MemberTooBig, fmt.Sprintf("The member's data has %d bytes: at most %d are allowed", size, a.Limits.PresenceMember)}
	}
	return m, nil
}
