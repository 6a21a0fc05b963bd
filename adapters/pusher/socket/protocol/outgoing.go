package protocol

import (
	"encoding/json"
	"strconv"
)

// Pong answers a ping; Ping asks a client that does not answer ping frames of the
// websocket. Their bytes must not be changed.
var (
	Pong = []byte(`{"event":"pusher:pong","data":"{}"}`)
	Ping = []byte(`{"event":"pusher:ping","data":"{}"}`)
)

// The kinds of a refused subscription, with the status that goes with them.
var (
	AuthError      = Kind{"AuthError", 401}
	InvalidRequest = Kind{"InvalidRequest", 400}
	LimitReached   = Kind{"LimitReached", 4100}
	MemberTooBig   = Kind{"LimitReached", 4301}
)

// Kind is a kind of refused subscription.
type Kind struct {
	Type   string
	Status int
}

// frame writes a frame whose data is a string. An empty channel or user id is
// left out.
func frame[T string | []byte](event, channel string, data T, userID string) []byte {
	b := make([]byte, 0, len(`{"event":"","channel":"","data":"","user_id":""}`)+len(event)+len(channel)+len(userID)+len(data)+len(data)/8+16)
	b = appendQuoted(append(b, `{"event":`...), event)
	if channel != "" {
		b = appendQuoted(append(b, `,"channel":`...), channel)
	}
	b = appendQuoted(append(b, `,"data":`...), data)
	if userID != "" {
		b = appendQuoted(append(b, `,"user_id":`...), userID)
	}
	return append(b, '}')
}

// Event is a user event. userID is that of the member who sent it on a presence
// channel, else empty.
func Event(name, channel, data, userID string) []byte { return frame(name, channel, data, userID) }

// Established is the first frame of every connection. activity is in seconds.
func Established(socketID string, activity int) []byte {
	data := appendQuoted([]byte(`{"socket_id":`), socketID)
	data = strconv.AppendInt(append(data, `,"activity_timeout":`...), int64(activity), 10)
	return frame("pusher:connection_established", "", append(data, '}'), "")
}

// Error is an error event; channel may be empty, and CodeNone goes out as null.
func Error(code int, message, channel string) []byte {
	b := []byte(`{"event":"pusher:error"`)
	if channel != "" {
		b = appendQuoted(append(b, `,"channel":`...), channel)
	}
	b = append(b, `,"data":{"code":`...)
	if code == CodeNone {
		b = append(b, `null`...)
	} else {
		b = strconv.AppendInt(b, int64(code), 10)
	}
	b = appendQuoted(append(b, `,"message":`...), message)
	return append(b, `}}`...)
}

// Subscribed acknowledges a subscription to any but a presence channel.
func Subscribed(channel string) []byte {
	return frame("pusher_internal:subscription_succeeded", channel, "{}", "")
}

// SubscribedPresence acknowledges a subscription to a presence channel, with its
// members, each once.
func SubscribedPresence(channel string, members []Member) []byte {
	data := strconv.AppendInt([]byte(`{"presence":{"count":`), int64(len(members)), 10)
	data = append(data, `,"ids":[`...)
	for i, m := range members {
		if i > 0 {
			data = append(data, ',')
		}
		data = appendQuoted(data, m.ID)
	}
	data = append(data, `],"hash":{`...)
	for i, m := range members {
		if i > 0 {
			data = append(data, ',')
		}
		data = append(appendQuoted(data, m.ID), ':')
		if m.Info == nil {
			data = append(data, `null`...)
		} else {
			data = append(data, m.Info...)
		}
	}
	return frame("pusher_internal:subscription_succeeded", channel, append(data, `}}}`...), "")
}

// SubscriptionError refuses a subscription.
func SubscriptionError(channel string, kind Kind, text string) []byte {
	data := appendQuoted([]byte(`{"type":`), kind.Type)
	data = appendQuoted(append(data, `,"error":`...), text)
	data = strconv.AppendInt(append(data, `,"status":`...), int64(kind.Status), 10)
	return frame("pusher:subscription_error", channel, append(data, '}'), "")
}

// MemberAdded tells that a user came to a presence channel.
func MemberAdded(channel string, m Member) []byte {
	data := appendQuoted([]byte(`{"user_id":`), m.ID)
	if m.Info != nil {
		data = append(append(data, `,"user_info":`...), m.Info...)
	}
	return frame("pusher_internal:member_added", channel, append(data, '}'), "")
}

// MemberRemoved tells that a user has left a presence channel.
func MemberRemoved(channel, id string) []byte {
	return frame("pusher_internal:member_removed", channel, UserJSON(id), "")
}

// CacheMiss tells that a cache channel has no cached event.
func CacheMiss(channel string) []byte { return frame("pusher:cache_miss", channel, "{}", "") }

// SubscriptionCount tells how many connections are subscribed to a channel.
func SubscriptionCount(channel string, count int) []byte {
	return frame("pusher_internal:subscription_count", channel, CountJSON(count), "")
}

// SignedIn acknowledges a sign-in with the very text that was signed.
func SignedIn(userData string) []byte {
	data := appendQuoted([]byte(`{"user_data":`), userData)
	return frame("pusher:signin_success", "", append(data, '}'), "")
}

// Watchlist tells which watched users came online and which went offline. One of
// the lists may be empty.
func Watchlist(online, offline []string) []byte {
	type change struct {
		Name string   `json:"name"`
		IDs  []string `json:"user_ids"`
	}
	events := make([]change, 0, 2)
	if len(online) > 0 {
		events = append(events, change{"online", online})
	}
	if len(offline) > 0 {
		events = append(events, change{"offline", offline})
	}
	data, _ := json.Marshal(map[string][]change{"events": events}) // strings are always JSON
	return frame("pusher_internal:watchlist_events", "", data, "")
}

// UserJSON is {"user_id":ID}, CountJSON is {"subscription_count":N}: the data of
// frames and of happenings.
func UserJSON(id string) []byte {
	return append(appendQuoted([]byte(`{"user_id":`), id), '}')
}

// CountJSON is {"subscription_count":N}.
func CountJSON(count int) []byte {
	return append(strconv.AppendInt([]byte(`{"subscription_count":`), int64(count), 10), '}')
}
