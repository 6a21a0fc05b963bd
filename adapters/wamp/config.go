package wamp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"

	"github.com/pushbridge/bridge/core/kit/httpin"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// The modes.
const (
	modeRouter = "router"
	modeClient = "client"
)

// Config is the configuration of one instance. keysOfMode says which keys
// belong to which mode.
type Config struct {
	Mode string `json:"mode" jsonschema:"required,enum=router,enum=client" jsonschema_description:"router: be a WAMP router that clients connect to. client: join an outside router and publish there."`

	// Of a router.

	Listen         string        `json:"listen,omitempty" jsonschema:"minLength=1,example=127.0.0.1:8080,example=unix:/run/bridge/wamp.sock" jsonschema_description:"Router: address to listen on, host:port or unix:/path."`
	Paths          []string      `json:"paths,omitempty" jsonschema:"default=/ws,minItems=1,uniqueItems" jsonschema_description:"Router: paths that clients connect to; / is that path alone."`
	TrustedProxies []string      `json:"trusted_proxies,omitempty" jsonschema_description:"Router: networks of the proxies whose X-Forwarded-For, Forwarded and X-Forwarded-Proto headers count. unix stands for peers on a unix socket."`
	Limits         httpin.Limits `json:"limits,omitempty" jsonschema_description:"Router: limits of the HTTP server. Instances that share an address must agree on them."`
	Realms         []Realm       `json:"realms,omitempty" jsonschema:"minItems=1" jsonschema_description:"Router: the realms. An event goes to the only one, or to the one that its space names."`
	Serializers    []string      `json:"serializers,omitempty" jsonschema:"default=json,default=msgpack,default=cbor,minItems=1,uniqueItems" jsonschema_description:"Router: serializations offered: json, msgpack, cbor."`
	AllowedOrigins []string      `json:"allowed_origins,omitempty" jsonschema:"example=app.example.com,example=localhost:*,example=null,example=*" jsonschema_description:"Router: hosts whose pages may connect besides those of the same host; with a scheme, whole origins; null for pages from files; * for all."`

	QueueMessages    int               `json:"queue_messages" jsonschema:"default=4096,minimum=16" jsonschema_description:"Router: messages that may wait for a slow client."`
	QueueBytes       settings.Size     `json:"queue_bytes" jsonschema_extras:"default=8MiB" jsonschema_description:"Router: bytes that may wait for a slow client."`
	SlowConsumer     string            `json:"slow_consumer" jsonschema:"default=disconnect,enum=disconnect,enum=drop" jsonschema_description:"Router: what a client gets that does not keep up: it is disconnected, or misses events."`
	HelloTimeout     settings.Duration `json:"hello_timeout" jsonschema:"default=5s" jsonschema_description:"Router: how long a client may take to say HELLO, at most 5s."`
	MaxSessions      int               `json:"max_sessions" jsonschema:"default=10000,minimum=1" jsonschema_description:"Router: connections at a time; further ones are refused with status 503."`
	MaxSessionsPerIP int               `json:"max_sessions_per_ip" jsonschema:"default=0,minimum=0" jsonschema_description:"Router: connections at a time from one address; 0 means any number."`
	MaxSubscriptions int               `json:"max_subscriptions" jsonschema:"default=10000,minimum=1" jsonschema_description:"Router: subscriptions of one session."`
	PublishRate      float64           `json:"publish_rate" jsonschema:"default=10000,minimum=0" jsonschema_description:"Router: publications per second of one session, and at once; further ones are delayed. 0 means any."`
	Happenings       bool              `json:"happenings,omitempty" jsonschema_description:"Router: emit channel_occupied and channel_vacated, when the first client subscribes to a topic and the last one leaves it."`

	// Of a client.

	URL            string            `json:"url,omitempty" jsonschema:"example=wss://router.example.com/ws" jsonschema_description:"Client: the router, ws:// or wss://."`
	Realm          string            `json:"realm,omitempty" jsonschema:"minLength=1" jsonschema_description:"Client: the realm to join."`
	Roles          []Role            `json:"roles,omitempty" jsonschema_description:"Client: what endpoints that publish for a role may publish, as in a realm of a router; without it, anything. The router decides besides."`
	Serializer     string            `json:"serializer" jsonschema:"default=json,enum=json,enum=msgpack,enum=cbor" jsonschema_description:"Client: the serialization."`
	ConnectTimeout settings.Duration `json:"connect_timeout" jsonschema:"default=10s" jsonschema_description:"Client: time to connect and join."`
	AckTimeout     settings.Duration `json:"ack_timeout" jsonschema:"default=5s" jsonschema_description:"Client: time that the router may take to acknowledge a publication."`
	Reconnect      Reconnect         `json:"reconnect,omitempty" jsonschema_description:"Client: waiting between attempts to join. The wait is a random part of a time that grows from initial to cap."`
	Queue          Queue             `json:"queue,omitempty" jsonschema_description:"Client: publications that wait for the router."`
	Resend         bool              `json:"resend,omitempty" jsonschema_description:"Client: send publications again that were not acknowledged when the session was lost. Subscribers may then get them twice; without it their outcome is unknown."`

	// Of both.

	TLS            *TLS              `json:"tls,omitempty" jsonschema_description:"Router: serve TLS with cert and key. Client: how to trust a wss:// router, and who to be. A router reads the files again when they change."`
	Auth           *Auth             `json:"auth,omitempty" jsonschema_description:"Router: how clients of realms without an auth of their own log in; without any, as role anonymous. Client: how to log in."`
	MaxURILength   int               `json:"max_uri_length" jsonschema:"default=1024,minimum=1,maximum=8192" jsonschema_description:"Longest topic or procedure in bytes."`
	MaxMessageSize settings.Size     `json:"max_message_size" jsonschema_extras:"default=1MiB" jsonschema_description:"Longest message that is taken from the other side."`
	WriteTimeout   settings.Duration `json:"write_timeout" jsonschema:"default=10s" jsonschema_description:"Time for the other side to take what is sent; after it the connection is cut."`
	PingInterval   settings.Duration `json:"ping_interval" jsonschema:"default=20s" jsonschema_description:"Time between pings."`
	PingTimeout    settings.Duration `json:"ping_timeout" jsonschema:"default=20s" jsonschema_description:"Time to answer a ping; after it the connection is cut."`
	Subscribe      []Subscription    `json:"subscribe,omitempty" jsonschema_description:"Topics whose events, published by WAMP clients, go to the routes that this instance is a source of."`
}

// keysOfMode are the keys that belong to one mode; the others belong to both.
func keysOfMode(mode string) []string {
	if mode == modeRouter {
		return []string{
			"listen", "paths", "trusted_proxies", "limits", "realms", "serializers", "allowed_origins",
			"queue_messages", "queue_bytes", "slow_consumer", "hello_timeout", "max_sessions", "max_sessions_per_ip",
			"max_subscriptions", "publish_rate", "happenings",
		}
	}
	return []string{
		"url", "realm", "roles", "serializer", "connect_timeout", "ack_timeout", "reconnect", "queue", "resend",
	}
}

// TLS is for either mode; see the descriptions.
type TLS struct {
	Cert     string `json:"cert,omitempty" jsonschema:"minLength=1" jsonschema_description:"PEM file with the certificate and its chain."`
	Key      string `json:"key,omitempty" jsonschema:"minLength=1" jsonschema_description:"PEM file with the private key."`
	ClientCA string `json:"client_ca,omitempty" jsonschema:"minLength=1" jsonschema_description:"Router: PEM file with certificate authorities; clients must show a certificate of one of them."`
	CA       string `json:"ca,omitempty" jsonschema:"minLength=1" jsonschema_description:"Client: PEM file with the authorities that vouch for the router, instead of the system's."`
	Server   string `json:"server_name,omitempty" jsonschema:"minLength=1" jsonschema_description:"Client: name that the router's certificate must have, instead of the url's."`
	Insecure bool   `json:"insecure_skip_verify,omitempty" jsonschema_description:"Client: do not check the router's certificate. Anybody on the way can then read and forge everything; for tests only."`
}

// Realm of a router.
type Realm struct {
	Name          string `json:"name" jsonschema:"required,minLength=1" jsonschema_description:"Name of the realm, a WAMP URI."`
	StrictURI     bool   `json:"strict_uri,omitempty" jsonschema_description:"Take only URIs whose components are of 0-9, a-z and _."`
	Roles         []Role `json:"roles,omitempty" jsonschema_description:"What the roles may do. A role that is not named may do nothing."`
	Auth          *Auth  `json:"auth,omitempty" jsonschema_description:"How clients log in to this realm, instead of the instance's auth."`
	AllowDisclose bool   `json:"allow_disclose,omitempty" jsonschema_description:"Let rules with disclose tell receivers who publishes or calls."`
	RPC           *bool  `json:"rpc,omitempty" jsonschema_description:"Let clients call and register procedures as the rules say. Default: if a rule allows it."`
}

// Role and what it may do.
type Role struct {
	Name        string       `json:"name" jsonschema:"required,minLength=1" jsonschema_description:"Name of the role."`
	Permissions []Permission `json:"permissions,omitempty" jsonschema_description:"The rules, in the manner of Crossbar. For each URI one rule decides: the exact one, else the best matching wildcard, else the longest prefix."`
}

// Permission is a rule, in either of Crossbar's spellings.
type Permission struct {
	URI      string    `json:"uri" jsonschema:"required,example=com.example.news,example=com.example.*" jsonschema_description:"URI or pattern. Without match, a star at the very end makes it a prefix, stars elsewhere stand for one component each."`
	Match    string    `json:"match,omitempty" jsonschema:"enum=exact,enum=prefix,enum=wildcard" jsonschema_description:"How to compare; stars have no meaning then."`
	Allow    *Allow    `json:"allow,omitempty" jsonschema_description:"What is allowed; what is left out is not."`
	Disclose *Disclose `json:"disclose,omitempty" jsonschema_description:"Whom to tell who it was; needs allow_disclose in the realm."`
	Cache    bool      `json:"cache,omitempty" jsonschema_description:"Accepted for Crossbar's sake; nothing is slow here."`

	Call      bool `json:"call,omitempty" jsonschema_description:"Older spelling of allow.call."`
	Register  bool `json:"register,omitempty" jsonschema_description:"Older spelling of allow.register."`
	Publish   bool `json:"publish,omitempty" jsonschema_description:"Older spelling of allow.publish."`
	Subscribe bool `json:"subscribe,omitempty" jsonschema_description:"Older spelling of allow.subscribe."`
}

// Allow is what a rule allows.
type Allow struct {
	Call      bool `json:"call,omitempty"`
	Register  bool `json:"register,omitempty"`
	Publish   bool `json:"publish,omitempty"`
	Subscribe bool `json:"subscribe,omitempty"`
}

// Disclose is whom a rule tells who it was.
type Disclose struct {
	Caller    bool `json:"caller,omitempty" jsonschema_description:"Tell callees who calls."`
	Publisher bool `json:"publisher,omitempty" jsonschema_description:"Tell subscribers who publishes."`
}

// Auth is how sessions prove who they are: how clients may (router), or how the
// bridge does (client).
type Auth struct {
	Anonymous  *AnonymousAuth  `json:"anonymous,omitempty" jsonschema_description:"Router: let clients in without proof."`
	Ticket     *TicketAuth     `json:"ticket,omitempty" jsonschema_description:"Router: principals with their tickets. Client: the ticket."`
	WAMPCRA    *CRAAuth        `json:"wampcra,omitempty" jsonschema_description:"Router: users with their secrets."`
	Cryptosign *CryptosignAuth `json:"cryptosign,omitempty" jsonschema_description:"Router: principals with their public keys."`

	Method     string          `json:"method,omitempty" jsonschema:"enum=anonymous,enum=ticket,enum=wampcra,enum=cryptosign" jsonschema_description:"Client: the method; anonymous if left out."`
	AuthID     string          `json:"authid,omitempty" jsonschema_description:"Client: who to be."`
	Secret     settings.Secret `json:"secret,omitempty" jsonschema_description:"Client: the secret for wampcra."`
	PrivateKey settings.Secret `json:"private_key,omitempty" jsonschema_description:"Client: the Ed25519 key for cryptosign, 32 bytes in hexadecimal."`
}

// AnonymousAuth lets clients in without proof. Its members have no defaults in
// the schema: defaults would bring it to life where it is left out.
type AnonymousAuth struct {
	Type   string `json:"type,omitempty" jsonschema_description:"static"`
	Role   string `json:"role,omitempty" jsonschema:"minLength=1" jsonschema_description:"Role of the sessions, anonymous if left out."`
	AuthID string `json:"authid,omitempty" jsonschema_description:"authid of all of them; without it each has its own."`
}

// CRAAuth is WAMP-CRA.
type CRAAuth struct {
	Type  string             `json:"type,omitempty" jsonschema_description:"static"`
	Users map[string]CRAUser `json:"users" jsonschema:"required" jsonschema_description:"The users by authid."`
}

// CRAUser is a user of WAMP-CRA.
type CRAUser struct {
	Secret     settings.Secret `json:"secret" jsonschema:"required,minLength=1" jsonschema_description:"The secret; with a salt, the password or the key derived from it."`
	Role       string          `json:"role" jsonschema:"required,minLength=1" jsonschema_description:"Role of the sessions."`
	Salt       string          `json:"salt,omitempty" jsonschema_description:"Salt of the derived key (PBKDF2)."`
	Iterations int             `json:"iterations,omitempty" jsonschema:"default=1000,minimum=1,maximum=1000000" jsonschema_description:"Iterations of the derived key."`
	KeyLen     int             `json:"keylen,omitempty" jsonschema:"default=32,minimum=1,maximum=1024" jsonschema_description:"Length of the derived key in bytes."`
}

// CryptosignAuth is cryptosign.
type CryptosignAuth struct {
	Type       string                         `json:"type,omitempty" jsonschema_description:"static"`
	Principals map[string]CryptosignPrincipal `json:"principals" jsonschema:"required" jsonschema_description:"The principals by authid."`
}

// CryptosignPrincipal is a principal with its keys.
type CryptosignPrincipal struct {
	AuthorizedKeys []string `json:"authorized_keys" jsonschema:"required,minItems=1" jsonschema_description:"Public keys (Ed25519), 32 bytes each in hexadecimal."`
	Role           string   `json:"role" jsonschema:"required,minLength=1" jsonschema_description:"Role of the sessions."`
	Realm          string   `json:"realm,omitempty" jsonschema_description:"The only realm that the principal may join."`
}

// TicketAuth is a list of principals with their tickets (router) or a ticket
// (client). It is written as an object or as a text.
type TicketAuth struct {
	Ticket settings.Secret // written as a text
	Static *StaticTickets  // written as an object
}

// StaticTickets are principals with their tickets.
type StaticTickets struct {
	Type           string                     `json:"type,omitempty" jsonschema_description:"static"`
	Principals     map[string]TicketPrincipal `json:"principals" jsonschema:"required" jsonschema_description:"The principals by authid."`
	AllowPlaintext bool                       `json:"allow_plaintext,omitempty" jsonschema_description:"Take tickets without TLS on an address that is not loopback: behind a proxy that has TLS."`
}

// TicketPrincipal is a principal with its ticket.
type TicketPrincipal struct {
	Ticket settings.Secret `json:"ticket" jsonschema:"required,minLength=1" jsonschema_description:"The ticket."`
	Role   string          `json:"role" jsonschema:"required,minLength=1" jsonschema_description:"Role of the sessions."`
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *TicketAuth) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(`"`)) {
		return json.Unmarshal(data, &t.Ticket)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&t.Static); err != nil {
		return fmt.Errorf("ticket: %w", err)
	}
	return nil
}

// JSONSchema implements the schema reflection.
func (TicketAuth) JSONSchema() *jsonschema.Schema {
	reflector := jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, ExpandedStruct: true, RequiredFromJSONSchemaTags: true,
	}
	static := reflector.Reflect(StaticTickets{})
	static.Version = ""
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		settings.Secret("").JSONSchema(), static,
	}}
}

// Subscription is a topic whose events go to the bus.
type Subscription struct {
	Realm string `json:"realm,omitempty" jsonschema_description:"Router: the realm; may be left out if there is one."`
	Topic string `json:"topic" jsonschema_description:"Topic, or the pattern that match says."`
	Match string `json:"match" jsonschema:"default=exact,enum=exact,enum=prefix,enum=wildcard" jsonschema_description:"How topics are compared."`
}

// Reconnect is how long a client waits between attempts.
type Reconnect struct {
	Initial settings.Duration `json:"initial" jsonschema:"default=500ms" jsonschema_description:"The first wait."`
	Factor  float64           `json:"factor" jsonschema:"default=2,minimum=1" jsonschema_description:"What each wait is multiplied with."`
	Cap     settings.Duration `json:"cap" jsonschema:"default=30s" jsonschema_description:"The longest wait."`
}

// Queue holds publications while a client is not joined.
type Queue struct {
	Events int               `json:"events" jsonschema:"default=10000,minimum=1" jsonschema_description:"Publications that may wait; further ones are refused."`
	Bytes  settings.Size     `json:"bytes" jsonschema_extras:"default=64MiB" jsonschema_description:"Bytes of their data."`
	TTL    settings.Duration `json:"ttl" jsonschema:"default=60s" jsonschema_description:"How long one may wait; after it, it is refused."`
}
