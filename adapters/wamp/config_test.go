package wamp_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/core"
)

func TestValidate(t *testing.T) {
	router := func(more string) string {
		return `{"mode":"router","listen":"127.0.0.1:80","realms":[{"name":"r","roles":[{"name":"anonymous"}]` + more + `}]}`
	}
	top := func(more string) string {
		return `{"mode":"router","listen":"127.0.0.1:80","realms":[{"name":"r","roles":[{"name":"anonymous"}]}]` + more + `}`
	}
	client := func(more string) string {
		return `{"mode":"client","url":"wss://example.com/ws","realm":"r"` + more + `}`
	}
	rule := func(permission string) string {
		return `{"mode":"router","listen":":80","realms":[{"name":"r","roles":[{"name":"anonymous","permissions":[` + permission + `]}]}]}`
	}
	tests := []struct {
		config string
		want   []string // path and a part of the message; "?" before a warning
	}{
		{router(""), nil},
		{top(`,"paths":["/","/ws"],"serializers":["cbor"],"allowed_origins":["*"],"happenings":true`), nil},
		{client(""), nil},
		{client(`,"auth":{"method":"anonymous"},"tls":{"ca":"x"},"roles":[{"name":"a"}]`), nil},
		{`{"mode":"x"}`, []string{`/mode "router" or "client"`}},
		{`{"mode":"router","lissten":":80"}`, []string{` unknown field`}},
		{`{"mode":"router"}`, []string{`/listen no address`, `/realms needs a realm`}},
		{`{"mode":"client"}`, []string{`/url needs the url`, `/realm no valid realm`}},
		// Keys of the other mode.
		{client(`,"listen":":80","paths":["/ws"],"happenings":true`), []string{`/listen mode router`, `/paths mode router`, `/happenings mode router`}},
		{top(`,"url":"ws://x","queue":{}`), []string{`/url mode client`, `/queue mode client`}},
		{top(`,"tls":{"cert":"c","key":"k","ca":"x"}`), []string{`/tls mode client`}},
		{top(`,"tls":{"cert":"c"}`), []string{`/tls both cert and key`}},
		{client(`,"tls":{"client_ca":"x"}`), []string{`/tls/client_ca mode router`}},
		{client(`,"tls":{"cert":"x"}`), []string{`/tls belong together`}},
		{client(`,"tls":{"insecure_skip_verify":true}`), []string{`?/tls/insecure_skip_verify read and forge`}},
		// The router.
		{top(`,"paths":["ws","/a{b}"]`), []string{`/paths/0 no path`, `/paths/1 no path`}},
		{top(`,"serializers":["json","ubjson"]`), []string{`/serializers/1 no serializer "ubjson"`}},
		{top(`,"publish_rate":0.5`), []string{`/publish_rate at least 1`}},
		{top(`,"publish_rate":0`), nil},
		{top(`,"hello_timeout":"6s"`), []string{`/hello_timeout at most 5s`}},
		{top(`,"ping_timeout":"0s","max_message_size":0`), []string{`/ping_timeout longer`, `/max_message_size more than 0`}},
		{top(`,"trusted_proxies":["example.com"]`), []string{`/trusted_proxies/0 no IP address`}},
		{`{"mode":"router","listen":":80","realms":[{"name":"a b"},{"name":"a b"}]}`,
			[]string{`/realms/0/name no valid`, `?/realms/0/roles no role`, `/realms/1/name no valid`, `/realms/1/name already`, `?/realms/1/roles no role`}},
		{`{"mode":"router","listen":":80","realms":[{"name":"R","strict_uri":true,"roles":[{"name":"anonymous"},{"name":"anonymous"}]}]}`,
			[]string{`/realms/0/name no valid`, `/realms/0/roles/1/name already`}},
		{`{"mode":"router","listen":":80","realms":[{"name":"r","roles":[{"name":"other"}]}]}`, []string{`?/realms/0/roles "anonymous", which is not defined`}},
		// Permissions.
		{rule(`{"uri":"a.*"},{"uri":"*"},{"uri":"a.*.b"},{"uri":"","match":"prefix"},{"uri":"a..b","match":"wildcard"},{"uri":"a.","match":"prefix"}`), nil},
		{rule(`{"uri":"a..b"}`), []string{`/realms/0/roles/0/permissions/0/uri no valid URI`}},
		{rule(`{"uri":"a"},{"uri":"a b","match":"prefix"}`), []string{`/realms/0/roles/0/permissions/1/uri no valid URI for match prefix`}},
		{rule(`{"uri":"a","publish":true,"allow":{"call":true}}`), []string{`/realms/0/roles/0/permissions/0 not both`}},
		{rule(`{"uri":"a","disclose":{"publisher":true}}`), []string{`?/realms/0/allow_disclose does nothing`}},
		// Logins.
		{router(`,"auth":{}`), []string{`/realms/0/auth no method is offered`}},
		{router(`,"auth":{"anonymous":{"type":"dynamic"}}`), []string{`/realms/0/auth/anonymous/type does not exist here`}},
		{top(`,"auth":{"wampcra":{"type":"function","users":{}}}`), []string{`/auth/wampcra/type does not exist here`}},
		{top(`,"auth":{"cryptosign":{"type":"x","principals":{"a/b":{"role":"r","authorized_keys":["zz"]}}}}`),
			[]string{`/auth/cryptosign/type no type`, `/auth/cryptosign/principals/a~1b/authorized_keys/0 32 bytes`, `?/realms/0/roles "r", which is not defined`}},
		{top(`,"auth":{"ticket":"text"}`), []string{`/auth/ticket needs principals`}},
		{top(`,"auth":{"method":"ticket","anonymous":{}}`), []string{`/auth mode client`}},
		{top(`,"auth":{"ticket":{"principals":{"joe":{"ticket":"","role":"anonymous"}}}}`), []string{`/auth/ticket/principals/joe needs`}},
		{`{"mode":"router","listen":"0.0.0.0:80","auth":{"ticket":{"principals":{"joe":{"ticket":"t","role":"r"}}}},"realms":[{"name":"r","roles":[{"name":"r"}]}]}`,
			[]string{`/auth/ticket in the clear`}},
		{`{"mode":"router","listen":"0.0.0.0:80","auth":{"ticket":{"allow_plaintext":true,"principals":{"joe":{"ticket":"t","role":"r"}}}},"realms":[{"name":"r","roles":[{"name":"r"}]}]}`, nil},
		{`{"mode":"router","listen":"0.0.0.0:80","tls":{"cert":"c","key":"k"},"auth":{"ticket":{"principals":{"joe":{"ticket":"t","role":"r"}}}},"realms":[{"name":"r","roles":[{"name":"r"}]}]}`, nil},
		{`{"mode":"router","listen":"unix:/run/x.sock","auth":{"ticket":{"principals":{"joe":{"ticket":"t","role":"r"}}}},"realms":[{"name":"r","roles":[{"name":"r"}]}]}`, nil},
		{`{"mode":"router","listen":"localhost:80","auth":{"ticket":{"principals":{"joe":{"ticket":"t","role":"r"}}}},"realms":[{"name":"r","roles":[{"name":"r"}]}]}`, nil},
		// Subscriptions.
		{top(`,"subscribe":[{"topic":"a"},{"topic":"a.","match":"prefix"},{"topic":"a..b","match":"wildcard"},{"realm":"r","topic":"b"}]`), nil},
		{top(`,"subscribe":[{"topic":"a."},{"realm":"x","topic":"a"}]`), []string{`/subscribe/0/topic no valid topic`, `/subscribe/1/realm no realm "x"`}},
		{`{"mode":"router","listen":":80","realms":[{"name":"a","roles":[{"name":"anonymous"}]},{"name":"b","roles":[{"name":"anonymous"}]}],"subscribe":[{"topic":"t"}]}`,
			[]string{`/subscribe/0/realm several`}},
		{client(`,"subscribe":[{"topic":"a","realm":"other"}]`), []string{`/subscribe/0/realm "r" only`}},
		// The client.
		{`{"mode":"client","url":"http://x","realm":"r"}`, []string{`/url no ws://`}},
		{`{"mode":"client","url":"ws://x","realm":"r","tls":{"ca":"x"}}`, []string{`/tls has no TLS`}},
		{client(`,"auth":{"method":"ticket"}`), []string{`/auth/ticket needs ticket`, `/auth/authid needs an authid`}},
		{client(`,"auth":{"method":"wampcra","authid":"a","ticket":"x"}`), []string{`/auth/ticket no use`, `/auth/secret needs secret`}},
		{client(`,"auth":{"method":"cryptosign","private_key":"00"}`), []string{`/auth/private_key 32 bytes`}},
		{client(`,"auth":{"secret":"x"}`), []string{`/auth/secret no use`}},
		{client(`,"auth":{"anonymous":{}}`), []string{`/auth mode router`}},
		{`{"mode":"client","url":"ws://example.com","realm":"r","auth":{"method":"ticket","authid":"a","ticket":"x"}}`, []string{`?/auth/ticket in the clear`}},
		{client(`,"reconnect":{"initial":"1m"}`), []string{`/reconnect cap not below`}},
		{client(`,"queue":{"bytes":0}`), []string{`/queue bytes greater`}},
	}
	for _, tt := range tests {
		var got []string
		for _, f := range (wamp.Adapter{}).Validate(json.RawMessage(tt.config)).Findings {
			mark := ""
			if f.Severity == core.SeverityWarning {
				mark = "?"
			}
			got = append(got, mark+f.Path+" "+f.Message)
		}
		matches := len(got) == len(tt.want)
		for _, want := range tt.want {
			path, part, _ := strings.Cut(want, " ")
			matches = matches && slices.ContainsFunc(got, func(g string) bool {
				return strings.HasPrefix(g, path+" ") && strings.Contains(g, part)
			})
		}
		if !matches {
			t.Errorf("%s\n got %s\nwant %s", tt.config, fmt.Sprintf("%q", got), fmt.Sprintf("%q", tt.want))
		}
	}
}

func TestAddresses(t *testing.T) {
	v := wamp.Adapter{}.Validate(json.RawMessage(`{"mode":"router","listen":"127.0.0.1:80","paths":["/","/ws"],"tls":{"cert":"c","key":"k"},"realms":[{"name":"r"}]}`))
	if len(v.Addresses) != 1 || v.Addresses[0].Listen != "127.0.0.1:80" || len(v.Addresses[0].Paths) != 2 || !v.Addresses[0].TLS {
		t.Errorf("addresses %+v", v.Addresses)
	}
	if v := (wamp.Adapter{}).Validate(json.RawMessage(`{"mode":"client","url":"ws://x","realm":"r"}`)); len(v.Addresses) != 0 {
		t.Errorf("a client listens: %+v", v.Addresses)
	}
}
