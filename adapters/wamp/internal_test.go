package wamp

import (
	"encoding/json"
	"testing"

	nexus "github.com/gammazero/nexus/v3/wamp"
)

// FuzzValid wants a valid URI of every text, and the same again of that.
func FuzzValid(f *testing.F) {
	for _, text := range []string{"", ".", "a.b", "a b#c\u00a0\u2028", "..a..", "\x00", "a.\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		uri := valid(text)
		if !nexus.URI(uri).ValidURI(false, "") {
			t.Errorf("%q became %q", text, uri)
		}
		if again := valid(uri); again != uri {
			t.Errorf("%q became %q, then %q", text, uri, again)
		}
	})
}

// TestOddConfigs wants no panic, whatever a file says.
func TestOddConfigs(t *testing.T) {
	for _, config := range []string{
		`{"mode":"router","auth":{"ticket":{"principals":{"a":{"ticket":"t","role":"r"}}},"wampcra":{"users":{"a":{}}},"cryptosign":{"principals":{"a":null}}},"realms":[null]}`,
		`{"mode":"client","auth":{"ticket":null},"tls":{}}`, `{"mode":"client","auth":{"ticket":{"principals":null}}}`,
		`null`, `[]`, ``, `{`, `{"mode":"router","auth":{"ticket":5}}`, `{"mode":"router","auth":null,"realms":[{"name":null,"auth":null,"rpc":null}]}`,
		`{"mode":"router","realms":[{"name":"r","roles":[null,{"name":"a","permissions":[null]}]}],"subscribe":[null],"paths":[null]}`,
	} {
		if v := (Adapter{}).Validate(json.RawMessage(config)); !v.Failed() {
			t.Errorf("%s has no findings", config)
		}
	}
}
