package webhook

import (
	"time"

	"github.com/pushbridge/bridge/core/kit/egress"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// config is an instance's configuration.
type config struct {
	URL    string `json:"url" jsonschema:"required,minLength=1,example=https://example.com/pusher/webhook" jsonschema_description:"Where to post. Redirects are not followed."`
	Format string `json:"format" jsonschema:"required,enum=pusher,enum=cloudevents,enum=raw" jsonschema_description:"Form of the body: pusher (webhooks as Pusher Channels sends them, signed). cloudevents and raw do not exist yet."`

	Apps   []app           `json:"apps,omitempty" jsonschema_description:"The apps whose keys sign, as the adapters pusher-rest and pusher-socket have them; id, key, secret and keys count. With one app every event is signed by it, with several by the one whose id is the event's space."`
	Key    string          `json:"key,omitempty" jsonschema_description:"Key to sign with, instead of apps."`
	Secret settings.Secret `json:"secret,omitempty" jsonschema_description:"Secret of the key."`

	EventTypes []string `json:"event_types,omitempty" jsonschema:"enum=channel_occupied,enum=channel_vacated,enum=member_added,enum=member_removed,enum=client_event,enum=cache_miss,enum=subscription_count" jsonschema_description:"What is posted; everything if it is left out."`
	Filter     filter   `json:"filter,omitempty" jsonschema_description:"Which channels; all if it is left out. Every condition must hold."`

	Headers map[string]settings.Secret `json:"headers,omitempty" jsonschema_description:"More request headers. The values are treated as secrets."`
	Timeout settings.Duration          `json:"timeout" jsonschema:"default=10s" jsonschema_description:"Time for one attempt, from looking up the name to the answer."`

	Concurrency      int         `json:"concurrency" jsonschema:"default=16,minimum=1,maximum=1000" jsonschema_description:"Requests at a time. There is never more than one for a channel; with batch, for an app."`
	Batch            *batching   `json:"batch,omitempty" jsonschema_description:"Put several events of an app into one request; {} takes the defaults. On an edge with retry, set its in_flight as well, or a request has one event of a channel at most."`
	TLS              *egress.TLS `json:"tls,omitempty" jsonschema_description:"How the receiver is verified, and the bridge towards it."`
	PrivateAddresses bool        `json:"private_addresses" jsonschema:"default=true" jsonschema_description:"Whether the URL may lead to loopback, private and other addresses that are not public. Set it to false if the URL is not your own."`
}

// filter chooses channels by name.
type filter struct {
	StartsWith string `json:"channel_name_starts_with,omitempty" jsonschema_description:"What the channel's name begins with."`
	EndsWith   string `json:"channel_name_ends_with,omitempty" jsonschema_description:"What the channel's name ends with."`
	Pattern    string `json:"channel_pattern,omitempty" jsonschema_description:"Regular expression (RE2) that matches somewhere in the channel's name; write ^ and $ for the whole."`
}

// batching bounds a request of several events. Its defaults are no tags, because
// what is left out must stay off.
type batching struct {
	Window settings.Duration `json:"window,omitempty" jsonschema_description:"How long the first event waits for others; 50ms if it is left out."`
	Events int               `json:"events,omitempty" jsonschema:"minimum=1,maximum=1000" jsonschema_description:"Events in one request; 100 if it is left out."`
	Bytes  settings.Size     `json:"bytes,omitempty" jsonschema_description:"Bytes in one request; 256KiB if it is left out. A larger event travels alone."`
}

func (b batching) withDefaults() batching {
	if b.Window == 0 {
		b.Window = settings.Duration(50 * time.Millisecond)
	}
	if b.Events == 0 {
		b.Events = 100
	}
	if b.Bytes == 0 {
		b.Bytes = 256 << 10
	}
	return b
}

const formatPusher = "pusher"
