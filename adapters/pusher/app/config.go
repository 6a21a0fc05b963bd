package app

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"

	"github.com/pushbridge/bridge/adapters/pusher/channel"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Config is one element of apps. Every adapter reads all of it and uses what
// concerns it.
type Config struct {
	ID      ID               `json:"id" jsonschema:"required" jsonschema_description:"Id of the app, in the path of every request; it becomes the space of the events."`
	Key     *string          `json:"key,omitempty" jsonschema_description:"Public key of the app. Together with secret it is short for a list of one in keys."`
	Secret  *settings.Secret `json:"secret,omitempty" jsonschema_description:"Secret of the key."`
	Keys    []Key            `json:"keys,omitempty" jsonschema_description:"Several key pairs instead of key and secret. Any enabled one is good for requests and clients; the first enabled one signs webhooks."`
	Enabled bool             `json:"enabled" jsonschema:"default=true" jsonschema_description:"Whether the app is served."`

	TLSOnly               bool              `json:"tls_only,omitempty" jsonschema_description:"Sockets: refuse connections without TLS."`
	AllowedOrigins        []string          `json:"allowed_origins,omitempty" jsonschema:"example=app.example.com,example=localhost:*,example=null" jsonschema_description:"Sockets: hosts whose pages may connect; with a scheme, whole origins; null for pages from files. All if left out."`
	ClientEvents          bool              `json:"client_events,omitempty" jsonschema_description:"Sockets: clients may send events to one another."`
	UserAuthentication    bool              `json:"user_authentication" jsonschema:"default=true" jsonschema_description:"Sockets: clients may sign in as users."`
	AuthorizedConnections settings.Duration `json:"authorized_connections" jsonschema:"default=0" jsonschema_description:"Sockets: time within which a client must sign in or subscribe to a channel that needs authorization; 0 means any."`
	Watchlist             bool              `json:"watchlist,omitempty" jsonschema_description:"Sockets: tell signed-in users which of those they watch are online."`
	WatchlistWindow       settings.Duration `json:"watchlist_window" jsonschema:"default=100ms" jsonschema_description:"Sockets: how long changes of a watchlist are collected."`
	WatchlistOfflineDelay settings.Duration `json:"watchlist_offline_delay" jsonschema:"default=3s" jsonschema_description:"Sockets: how long a user must be gone to be offline."`
	SubscriptionCount     bool              `json:"subscription_count,omitempty" jsonschema_description:"Sockets: tell subscribers how many they are."`
	SubscriptionError     string            `json:"subscription_error" jsonschema:"default=subscription_error,enum=subscription_error,enum=error" jsonschema_description:"Sockets: the frame for a refused subscription: pusher:subscription_error or pusher:error."`
	ActivityTimeout       settings.Duration `json:"activity_timeout" jsonschema:"default=120s" jsonschema_description:"Sockets: silence after which a client looks whether the connection is alive; whole seconds."`
	CacheTTL              settings.Duration `json:"cache_ttl" jsonschema:"default=30m" jsonschema_description:"Sockets: how long a cache channel keeps its last event."`
	Happenings            []string          `json:"happenings" jsonschema:"default=channel_occupied,default=channel_vacated,default=member_added,default=member_removed,default=cache_miss,default=subscription_count,enum=channel_occupied,enum=channel_vacated,enum=member_added,enum=member_removed,enum=cache_miss,enum=subscription_count" jsonschema_description:"Sockets: which happenings enter the bus when the instance is a source."`
	LeaveDelay            settings.Duration `json:"leave_delay" jsonschema:"default=3s" jsonschema_description:"Sockets: how long channel_vacated and member_removed are held back; a return cancels them. 0 means not at all."`

	IdempotencyWindow settings.Duration `json:"idempotency_window" jsonschema:"default=2m" jsonschema_description:"HTTP API: how long the answer to a request with an idempotency_key is remembered; 0 ignores the field."`
	TimestampWindow   settings.Duration `json:"timestamp_window" jsonschema:"default=600s" jsonschema_description:"HTTP API: how far a request's timestamp must stay below in difference to the clock; 0 takes any."`
	RefuseRepeats     bool              `json:"refuse_repeats,omitempty" jsonschema_description:"HTTP API: refuse the second of two requests with the same signature."`
	StrictQuery       bool              `json:"strict_query,omitempty" jsonschema_description:"HTTP API: refuse query parameters that mean nothing."`

	Limits Limits `json:"limits,omitempty" jsonschema_description:"Limits of the app."`
}

// Key is one of several key pairs.
type Key struct {
	Key     string          `json:"key" jsonschema:"required" jsonschema_description:"Public key."`
	Secret  settings.Secret `json:"secret" jsonschema:"required" jsonschema_description:"Secret of the key."`
	Enabled bool            `json:"enabled" jsonschema:"default=true" jsonschema_description:"Whether the pair is good for anything."`
}

// Limits are an app's limits. Lengths of names and event data are in characters,
// that is Unicode code points.
type Limits struct {
	ChannelsPerEvent int `json:"channels_per_event" jsonschema:"default=100,minimum=1" jsonschema_description:"HTTP API: channels of one event."`
	EventsPerBatch   int `json:"events_per_batch" jsonschema:"default=10,minimum=1" jsonschema_description:"HTTP API: events of one batch."`
	EventName        int `json:"event_name" jsonschema:"default=200,minimum=1,maximum=2048" jsonschema_description:"Characters of an event's name."`
	EventData        int `json:"event_data" jsonschema:"default=10240,minimum=1,maximum=4194304" jsonschema_description:"HTTP API: characters of an event's data."`
	ChannelName      int `json:"channel_name" jsonschema:"default=200,minimum=1,maximum=8192" jsonschema_description:"Characters of a channel's name."`
	UserID           int `json:"user_id" jsonschema:"default=200,minimum=1,maximum=8192" jsonschema_description:"Characters of a user's id."`
	IdempotencyKey   int `json:"idempotency_key" jsonschema:"default=128,minimum=1,maximum=65536" jsonschema_description:"HTTP API: characters of an idempotency_key."`

	PublishPerSecond int `json:"publish_per_second" jsonschema:"default=0,minimum=0" jsonschema_description:"HTTP API: events per second, one for each channel; 0 means any."`
	ReadPerSecond    int `json:"read_per_second" jsonschema:"default=0,minimum=0" jsonschema_description:"HTTP API: questions per second; 0 means any."`

	Connections           int           `json:"connections" jsonschema:"default=0,minimum=0" jsonschema_description:"Sockets: connections of the app; 0 means any."`
	ChannelsPerConnection int           `json:"channels_per_connection" jsonschema:"default=100,minimum=0" jsonschema_description:"Sockets: channels that a client may subscribe to; 0 means any."`
	PresenceMembers       int           `json:"presence_members" jsonschema:"default=100,minimum=1" jsonschema_description:"Sockets: users of one presence channel."`
	PresenceMember        settings.Size `json:"presence_member" jsonschema_extras:"default=2048" jsonschema_description:"Sockets: bytes of one member's data."`
	ClientEventsPerSecond int           `json:"client_events_per_second" jsonschema:"default=10,minimum=0" jsonschema_description:"Sockets: events per second that a client may send, and at once; 0 means any."`
	ClientEventData       settings.Size `json:"client_event_data" jsonschema_extras:"default=10240" jsonschema_description:"Sockets: bytes of a client event's data as JSON."`
	Watchlist             int           `json:"watchlist" jsonschema:"default=100,minimum=1" jsonschema_description:"Sockets: users that a user may watch."`
	Frame                 settings.Size `json:"frame" jsonschema_extras:"default=102400" jsonschema_description:"Sockets: bytes of one message from a client."`
}

// ChannelNames are the limits on the names of channels.
func (l *Limits) ChannelNames() channel.Limits {
	return channel.Limits{Name: l.ChannelName, UserID: l.UserID}
}

// The happenings that an app can emit.
const (
	ChannelOccupied   = "channel_occupied"
	ChannelVacated    = "channel_vacated"
	MemberAdded       = "member_added"
	MemberRemoved     = "member_removed"
	CacheMiss         = "cache_miss"
	SubscriptionCount = "subscription_count"
)

// SubscriptionErrorPlain is the value of subscription_error that asks for
// pusher:error.
const SubscriptionErrorPlain = "error"

// ID is the id of an app. Configurations may write one of digits without quotes.
type ID string

// UnmarshalJSON implements json.Unmarshaler.
func (id *ID) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && (data[0] == '-' || '0' <= data[0] && data[0] <= '9') {
		*id = ID(data)
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil || string(data) == "null" {
		return fmt.Errorf("the id of an app is a text or a number, not %s", data)
	}
	*id = ID(text)
	return nil
}

// JSONSchema implements the schema reflection.
func (ID) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: &one}, {Type: "integer"}}}
}

// pairs are the key pairs of an app.
func (c *Config) pairs() []Key {
	if c.Key == nil || c.Secret == nil {
		return c.Keys
	}
	return []Key{{Key: *c.Key, Secret: *c.Secret, Enabled: true}}
}
