package crossbar

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/invopop/jsonschema"

	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// config is an instance's configuration, with its options beside realm.
type config struct {
	httpin.Config
	Path  string `json:"path" jsonschema:"default=/,example=/push" jsonschema_description:"Path of the endpoint; it is also served with a slash behind it."`
	Type  string `json:"type" jsonschema:"default=pusher,enum=pusher,enum=publisher" jsonschema_description:"Whose answers clients expect: pusher (status 202, as Crossbar 0.9) or publisher (status 200, as Crossbar since 0.14)."`
	Realm string `json:"realm" jsonschema:"required,minLength=1" jsonschema_description:"WAMP realm to publish in; it becomes the space of the events."`
	Role  string `json:"role" jsonschema:"required,minLength=1" jsonschema_description:"WAMP role to publish as."`
	options
}

// document is a configuration as files write it: options may stand beside realm,
// or under options as Crossbar has them.
type document struct {
	config
	Options *options `json:"options,omitempty" jsonschema_description:"The options, as Crossbar's configuration has them. Each may stand here or beside realm, not in both places."`
}

// options are what Crossbar calls the options of the endpoint, and the bridge's
// own beside them.
type options struct {
	Key    *string          `json:"key,omitempty" jsonschema_description:"Key that requests must be signed with. Without key and keys the endpoint is unsigned."`
	Secret *settings.Secret `json:"secret,omitempty" jsonschema_description:"Secret of the key."`
	Keys   []key            `json:"keys,omitempty" jsonschema_description:"Several keys, instead of key and secret."`

	SuccessStatus      successStatus `json:"success_status" jsonschema_extras:"default=auto" jsonschema_description:"Status of a success: 200, 202, or auto: 202 for type pusher and for the client library crossbarconnect, else 200."`
	ErrorStatus        string        `json:"error_status" jsonschema:"default=compat,enum=compat,enum=semantic" jsonschema_description:"Statuses of refusals: as Crossbar's, or semantic: what HTTP has for the case (401, 403, 415, 422)."`
	PostBodyLimit      int           `json:"post_body_limit" jsonschema:"default=0,minimum=0,maximum=1048576" jsonschema_description:"Longest body in bytes; 0 means limits.max_body. The smaller of both counts."`
	TimestampLimit     int           `json:"timestamp_delta_limit" jsonschema:"default=300,minimum=0,maximum=86400" jsonschema_description:"Seconds that a request's timestamp may differ from the clock; 0 means any."`
	RequireIP          []string      `json:"require_ip,omitempty" jsonschema:"example=127.0.0.1,example=10.0.0.0/8" jsonschema_description:"Addresses and networks that may send requests."`
	RequireTLS         bool          `json:"require_tls,omitempty" jsonschema_description:"Refuse requests that did not come over TLS, to here or to a trusted proxy."`
	CORSOrigins        []string      `json:"cors_origins,omitempty" jsonschema:"example=https://app.example.com,example=*" jsonschema_description:"Origins of the web pages that may send requests; * alone means all."`
	LenientContentType bool          `json:"lenient_content_type,omitempty" jsonschema_description:"Take JSON under any content type, as Crossbar 0.9 did."`
	MaxURILength       int           `json:"max_uri_length" jsonschema:"default=1024,minimum=1,maximum=8192" jsonschema_description:"Longest topic in bytes."`

	EmptyEligible   string `json:"empty_eligible" jsonschema:"default=nobody,enum=nobody,enum=everyone" jsonschema_description:"Whom an empty eligible list means: nobody, as WAMP specifies, or everyone, as Crossbar does."`
	TrustForwardFor bool   `json:"trust_forward_for,omitempty" jsonschema_description:"Pass on the publish option forward_for, with which a client claims another publisher's identity."`

	Replay    string            `json:"replay" jsonschema:"default=on,enum=on,enum=idempotent" jsonschema_description:"What the second of two equal signed requests gets: on refuses it, idempotent answers it as the first. Remembered by this process only."`
	ReplayTTL settings.Duration `json:"replay_ttl" jsonschema:"default=24h" jsonschema_description:"How long a signed request is remembered when timestamp_delta_limit is 0."`
	ReplayMax int               `json:"replay_max" jsonschema:"default=200000,minimum=1" jsonschema_description:"How many signed requests are remembered; further ones are refused with status 503 until the oldest expire."`
	StrictSeq bool              `json:"strict_seq,omitempty" jsonschema_description:"Want each key's seq to grow, give or take a window of 1000 for reordering."`

	RateLimit   float64 `json:"rate_limit" jsonschema:"default=0,minimum=0" jsonschema_description:"Requests per second for each key, or for each client address where requests are not signed; 0 means any."`
	RateBurst   int     `json:"rate_burst" jsonschema:"default=0,minimum=0" jsonschema_description:"Requests at once under rate_limit; 0 means as many as one second allows."`
	MaxInFlight int     `json:"max_in_flight" jsonschema:"default=4096,minimum=1" jsonschema_description:"Requests under way at a time; further ones are refused with status 429. Each may hold a body."`

	PublishTimeout settings.Duration `json:"publish_timeout" jsonschema:"default=5s" jsonschema_description:"How long to wait for the router's acknowledgement."`
	Debug          bool              `json:"debug,omitempty" jsonschema_description:"Log every request, and hints on why a signature does not match."`
}

// key is one of several keys.
type key struct {
	Key            string          `json:"key" jsonschema:"required" jsonschema_description:"Name of the key, as requests give it."`
	Secret         settings.Secret `json:"secret" jsonschema:"required" jsonschema_description:"Secret of the key."`
	PreviousSecret settings.Secret `json:"previous_secret,omitempty" jsonschema_description:"Second secret that is accepted while clients change to the new one."`
	Role           string          `json:"role,omitempty" jsonschema_description:"WAMP role that this key publishes as, instead of the endpoint's."`
	Topics         []string        `json:"topics,omitempty" jsonschema_description:"Prefixes of the topics that this key may publish on; all if left out."`
}

// The values of the settings that have a list of them.
const (
	typePusher       = "pusher"
	typePublisher    = "publisher"
	statusSemantic   = "semantic"
	eligibleEveryone = "everyone"
	replayIdempotent = "idempotent"
)

// successStatus is 200, 202, or 0 for auto.
type successStatus int

// UnmarshalJSON implements json.Unmarshaler.
func (s *successStatus) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case `"auto"`:
		*s = 0
	case "200":
		*s = 200
	case "202":
		*s = 202
	default:
		return fmt.Errorf("success_status is auto, 200 or 202, not %s", data)
	}
	return nil
}

// JSONSchema implements the schema reflection.
func (successStatus) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Enum: []any{"auto", 200, 202}}
}

// keys are the configured keys; none: the endpoint is unsigned.
func (o *options) keys() []key {
	if o.Key == nil || o.Secret == nil {
		return o.Keys
	}
	return []key{{Key: *o.Key, Secret: *o.Secret}}
}

// placed is a configuration with where its options were written.
type placed struct {
	config
	// nested are the options that stood under options.
	nested []string
	// both are those that stood there and beside realm.
	both []string
	// nulls are settings without a value.
	nulls []string
}

// decode reads a configuration. Options are brought to one place before defaults
// are filled in, because afterwards nobody could tell which of two was given.
func decode(raw json.RawMessage) (placed, error) {
	var p placed
	members := make(map[string]json.RawMessage)
	if err := json.Unmarshal(raw, &members); err != nil {
		return p, fmt.Errorf("configuration: %w", err)
	}
	if inner, ok := members["options"]; ok {
		var nested map[string]json.RawMessage
		if err := json.Unmarshal(inner, &nested); err != nil {
			return p, fmt.Errorf("configuration: options: %w", err)
		}
		delete(members, "options")
		for name, option := range nested {
			if _, twice := members[name]; twice {
				p.both = append(p.both, name)
				continue
			}
			members[name] = option
			p.nested = append(p.nested, name)
		}
		slices.Sort(p.both)
	}
	for name, member := range members {
		if string(member) == "null" {
			p.nulls = append(p.nulls, name)
		}
	}
	slices.Sort(p.nulls)
	flat, err := json.Marshal(members)
	if err != nil {
		return p, fmt.Errorf("configuration: %w", err)
	}
	p.config, err = settings.Decode[config](flat)
	return p, err
}

// at is the path of an option, for findings.
func (p *placed) at(parts ...any) string {
	if name, ok := parts[0].(string); ok && slices.Contains(p.nested, name) {
		return "/options" + settings.Path(parts...)
	}
	return settings.Path(parts...)
}
