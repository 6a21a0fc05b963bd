package webhook

import (
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// app is what counts here of a Pusher app.
type app struct {
	ID     appID           `json:"id" jsonschema:"required" jsonschema_description:"App id; it is the space of the app's events."`
	Key    string          `json:"key,omitempty" jsonschema_description:"The app's only key, instead of keys."`
	Secret settings.Secret `json:"secret,omitempty" jsonschema_description:"Secret of the key."`
	Keys   []keyPair       `json:"keys,omitempty" jsonschema_description:"The app's keys; the first enabled one signs."`
}

// keyPair is a key with its secret.
type keyPair struct {
	Key     string          `json:"key" jsonschema:"required" jsonschema_description:"Name of the key."`
	Secret  settings.Secret `json:"secret" jsonschema:"required" jsonschema_description:"Secret of the key."`
	Enabled bool            `json:"enabled" jsonschema:"default=true" jsonschema_description:"Whether the key may be used."`
}

// UnmarshalJSON implements json.Unmarshaler. Members that other adapters read are
// passed over.
func (a *app) UnmarshalJSON(data []byte) error {
	type plain app
	return json.Unmarshal(data, (*plain)(a))
}

// JSONSchemaExtend implements the schema reflection: see UnmarshalJSON.
func (app) JSONSchemaExtend(schema *jsonschema.Schema) {
	schema.AdditionalProperties = jsonschema.TrueSchema
}

// appID is a text; a number stands for its text.
type appID string

// UnmarshalJSON implements json.Unmarshaler.
func (id *appID) UnmarshalJSON(data []byte) error {
	var number json.Number
	if len(data) > 0 && data[0] != '"' {
		if err := json.Unmarshal(data, &number); err != nil {
			return fmt.Errorf("app id: %w", err)
		}
		*id = appID(number)
		return nil
	}
	return json.Unmarshal(data, (*string)(id))
}

// JSONSchema implements the schema reflection.
func (appID) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "string", MinLength: &one}, {Type: "integer"}}}
}

// signer is an app at work.
type signer struct {
	app string // "" if the configuration names none
	key keyPair
}

// signers are the apps of a configuration.
type signers struct {
	only *signer // with one, it signs everything
	byID map[string]*signer
}

func newSigners(c *config) signers {
	if len(c.Apps) == 0 {
		return signers{only: &signer{key: keyPair{Key: c.Key, Secret: c.Secret, Enabled: true}}}
	}
	s := signers{byID: make(map[string]*signer)}
	for i := range c.Apps {
		s.only = &signer{app: string(c.Apps[i].ID), key: c.Apps[i].signing()}
		s.byID[s.only.app] = s.only
	}
	if len(c.Apps) > 1 {
		s.only = nil
	}
	return s
}

// signing is the key that signs; it is not enabled if there is none.
func (a *app) signing() keyPair {
	if len(a.Keys) == 0 {
		return keyPair{Key: a.Key, Secret: a.Secret, Enabled: true}
	}
	for _, k := range a.Keys {
		if k.Enabled {
			return k
		}
	}
	return keyPair{}
}

// of finds who signs the events of a space.
func (s signers) of(space string) (*signer, *core.Refusal) {
	found := s.only
	if found == nil {
		found = s.byID[space]
	}
	switch {
	case found == nil:
		return nil, core.Refuse(core.CodeSpaceUnknown, "this webhook has several apps, none of them %q: name one with set.space", space)
	case !found.key.Enabled:
		return nil, core.Refuse(codeNoKey, "app %q has no enabled key to sign with", found.app)
	}
	return found, nil
}
