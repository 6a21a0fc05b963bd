package webhook

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/pushbridge/bridge/core"
)

func TestValidate(t *testing.T) {
	const good = `"url":"https://example.com/hook","format":"pusher"`
	const signed = good + `,"key":"k","secret":"s"`
	for config, want := range map[string]string{ // path and a part of the message; "" if nothing is wrong
		signed: "",
		good + `,"apps":[{"id":"a","key":"k","secret":"s","client_events":true,"limits":{"frame":5}}]`: "",
		good + `,"apps":[{"id":4,"keys":[{"key":"k","secret":"s"}]}]`:                                  "",
		signed + `,"headers":{"X-Custom":"v"},"batch":{},"tls":{},"event_types":["client_event"]`:      "",
		good + `,"apps":[{"id":"a","keys":[{"key":"k","secret":"s","enabled":false}]}]`:                "/apps/0/keys: none of the keys is enabled",
		`"url":"ftp://example.com","format":"pusher","key":"k","secret":"s"`:                           "/url: a webhook needs an http or https URL",
		`"url":"https:///x","format":"pusher","key":"k","secret":"s"`:                                  "/url: the URL has no host",
		`"url":"https://exa mple.com/%zz","format":"pusher","key":"k","secret":"s"`:                    "/url: this is no URL",
		`"url":"/hook","format":"pusher","key":"k","secret":"s"`:                                       "/url: a webhook needs",
		`"url":"https://example.com","format":"cloudevents","key":"k","secret":"s"`:                    "/format: format cloudevents cannot be sent yet",
		`"url":"https://example.com","format":"raw","key":"k","secret":"s"`:                            "/format: format raw cannot be sent yet",
		good:                          ": key is missing",
		good + `,"key":"k"`:           ": secret is missing",
		good + `,"apps":[]`:           "/apps: apps is empty",
		good + `,"apps":[{"id":"a"}]`: "/apps/0: key is missing",
		signed + `,"apps":[{"id":"a","key":"k","secret":"s"}]`:                                  "/apps: write either key and secret, or apps",
		good + `,"apps":[{"id":"a","key":"k","secret":"s"},{"id":"a","key":"l","secret":"s"}]`:  `/apps/1/id: app "a" is there twice`,
		good + `,"apps":[{"id":4,"key":"k","secret":"s"},{"id":"4","key":"l","secret":"s"}]`:    `/apps/1/id: app "4" is there twice`,
		good + `,"apps":[{"id":"a","key":"k","secret":"s","keys":[{"key":"k","secret":"s"}]}]`:  "/apps/0/keys: write either",
		good + `,"apps":[{"id":"a","keys":[{"key":"k","secret":"s"},{"key":"","secret":"s"}]}]`: "/apps/0/keys/1: key is missing",
		signed + `,"filter":{"channel_pattern":"("}`:                                            "/filter/channel_pattern: ",
		signed + `,"event_types":[]`:               "/event_types: event_types is empty",
		signed + `,"headers":{"x-pusher-key":"v"}`: "/headers/x-pusher-key: this header is set by the webhook",
		signed + `,"headers":{"content-type":"v"}`: "/headers/content-type: this header is set by the webhook",
		signed + `,"headers":{"a b":"v"}`:          "/headers/a b: this is no name",
		signed + `,"headers":{"a":"b\nc"}`:         "/headers/a: the value",
		signed + `,"timeout":"0s"`:                 "/timeout: want",
		signed + `,"timeout":"1h"`:                 "/timeout: want",
		signed + `,"batch":{"window":"1h"}`:        "/batch/window: want",
		signed + `,"tls":{"verify":false}`:         "/tls/verify: the server's certificate",
		signed + `,"tls":{"cert":"c.pem"}`:         "/tls: cert and key",
		signed + `,"nonsense":1`:                   ": configuration",
	} {
		var found []string
		for _, f := range (Adapter{}).Validate(json.RawMessage(`{` + config + `}`)).Findings {
			found = append(found, f.Path+": "+f.Message)
		}
		if want == "" && len(found) > 0 || want != "" && !strings.HasPrefix(strings.Join(found, "\n"), want) {
			t.Errorf("%s: %q, want %q", config, found, want)
		}
	}
}

// What is left out stays off, and has the defaults that the descriptions name
// where it is there.
func TestDefaults(t *testing.T) {
	c, err := read(settingsOf(t, "http://example.com"))
	if err != nil || c.Batch != nil || !c.PrivateAddresses || c.Concurrency != 16 || c.Timeout.Std().Seconds() != 10 {
		t.Errorf("%+v, %v", c, err)
	}
	c, err = read(settingsOf(t, "http://example.com", `{"batch":{}}`))
	if b := c.Batch.withDefaults(); err != nil || b.Window.Std().Milliseconds() != 50 || b.Events != 100 || b.Bytes != 256<<10 {
		t.Errorf("%+v, %v", b, err)
	}
}

// Secrets are marked in the schema, so that whoever shows a configuration leaves
// them out.
func TestSchema(t *testing.T) {
	var schema struct {
		Properties struct {
			Secret  struct{ WriteOnly bool }
			Headers struct{ AdditionalProperties struct{ WriteOnly bool } }
			Apps    struct {
				Items struct {
					AdditionalProperties bool
					Properties           struct {
						Secret struct{ WriteOnly bool }
						Keys   struct {
							Items struct{ AdditionalProperties bool }
						}
					}
				}
			}
		}
	}
	schema.Properties.Apps.Items.Properties.Keys.Items.AdditionalProperties = true
	if err := json.Unmarshal(Adapter{}.Describe().Config, &schema); err != nil {
		t.Fatal(err)
	}
	p := schema.Properties
	if !p.Secret.WriteOnly || !p.Headers.AdditionalProperties.WriteOnly || !p.Apps.Items.Properties.Secret.WriteOnly {
		t.Errorf("%+v", p)
	}
	if !p.Apps.Items.AdditionalProperties || p.Apps.Items.Properties.Keys.Items.AdditionalProperties {
		t.Errorf("an app must be open and its keys closed: %+v", p.Apps)
	}
	if info := (Adapter{}).Describe(); !info.Sink || info.Source || info.Scope != core.ScopeOnce {
		t.Errorf("%+v", info)
	}
}
