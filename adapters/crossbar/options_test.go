package crossbar

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
)

func TestPublishOptions(t *testing.T) {
	session := func(ids ...string) core.Audience {
		return core.Audience{core.AudienceSession: append([]string{}, ids...)}
	}
	trusted, everyone := `{"trust_forward_for":true}`, `{"empty_eligible":"everyone"}`
	const forward = `[{"session":1,"authid":"joe","authrole":"user","x":[ 1 ]}]`
	role := map[string]string{"wamp.role": "role1"}
	for _, test := range []struct {
		config, options string
		only, except    core.Audience
		meta            map[string]string
	}{
		{`{}`, `{}`, nil, nil, role},
		{`{}`, `{"exclude":null,"eligible":null,"retain":null,"exclude_me":null,"forward_for":null,"eligible_authid":null}`, nil, nil, role},
		{`{}`, `{"exclude":5}`, nil, session("5"), role},
		{`{}`, `{"exclude":[1,9007199254740992]}`, nil, session("1", "9007199254740992"), role},
		{`{}`, `{"eligible":[0,-1,9007199254740993,99999999999999999999,7]}`, session("7"), nil, role},
		{`{}`, `{"eligible":-1}`, session(), nil, role},
		{`{}`, `{"eligible":[]}`, session(), nil, role},
		{`{}`, `{"exclude":[]}`, nil, session(), role},
		{everyone, `{"eligible":[],"eligible_authid":[],"eligible_authrole":[ ]}`, nil, nil, role},
		{everyone, `{"eligible":[-1]}`, session(), nil, role},
		{everyone, `{"eligible":[],"eligible_authid":"joe"}`, core.Audience{"user": {"joe"}}, nil, role},
		{`{}`, `{"exclude_authid":["a","\u00fc"],"exclude_authrole":"r","eligible_authid":"b","eligible_authrole":["s"],"eligible":3}`,
			core.Audience{"user": {"b"}, "role": {"s"}, "session": {"3"}}, core.Audience{"user": {"a", "ü"}, "role": {"r"}}, role},
		{`{}`, `{"exclude":"x","exclude":[3]}`, nil, session("3"), role},
		{`{}`, `{"excl\u0075de":4}`, nil, session("4"), role},
		{`{}`, `{"exclude_me":true,"acknowledge":"x","disclose_me":[1],"unknown":{}}`, nil, nil, role},
		{`{}`, `{"retain":true}`, nil, nil, map[string]string{"wamp.role": "role1", "wamp.retain": "true"}},
		{`{}`, `{"retain":false}`, nil, nil, role},
		{`{}`, `{"forward_for":` + forward + `}`, nil, nil, role},
		{trusted, `{"forward_for":` + forward + `}`, nil, nil, map[string]string{"wamp.role": "role1", "wamp.forward_for": forward}},
		{trusted, `{"forward_for":[]}`, nil, nil, role},
		{trusted, `{"forward_for":` + forward + `,"retain":true}`, nil, nil, map[string]string{"wamp.role": "role1", "wamp.retain": "true", "wamp.forward_for": forward}},
	} {
		r := start(t, nil, test.config)
		r.post("", `{"topic":"a","options":`+test.options+`}`).id(t, 202)
		event := r.published(1)
		if diff := cmp.Diff(test.only, event.Only) + cmp.Diff(test.except, event.Except) + cmp.Diff(test.meta, event.Meta); diff != "" {
			t.Errorf("%s: %s", test.options, diff)
		}
	}
}

func TestPublishOptionsOfWrongType(t *testing.T) {
	for options, name := range map[string]string{
		`{"exclude":["123"]}`: "exclude", `{"exclude":"123"}`: "exclude", `{"exclude":5.0}`: "exclude", `{"exclude":1e3}`: "exclude", `{"exclude":true}`: "exclude",
		`{"exclude":{}}`: "exclude", `{"exclude":[[1]]}`: "exclude", `{"exclude":[1,null]}`: "exclude", `{"exclude":false}`: "exclude",
		`{"eligible":[1.5]}`: "eligible", `{"eligible":""}`: "eligible",
		`{"exclude_authid":5}`: "exclude_authid", `{"exclude_authid":[5]}`: "exclude_authid", `{"exclude_authrole":true}`: "exclude_authrole",
		`{"eligible_authid":{}}`: "eligible_authid", `{"eligible_authrole":[["a"]]}`: "eligible_authrole",
		`{"exclude_me":"true"}`: "exclude_me", `{"exclude_me":1}`: "exclude_me", `{"retain":"x"}`: "retain", `{"retain":0}`: "retain",
		`{"forward_for":{}}`: "forward_for", `{"forward_for":"x"}`: "forward_for", `{"forward_for":[1]}`: "forward_for", `{"forward_for":[{}]}`: "forward_for",
		`{"forward_for":[{"session":1.5,"authid":"a","authrole":"b"}]}`: "forward_for", `{"forward_for":[{"session":1,"authid":2,"authrole":"b"}]}`: "forward_for",
		`{"forward_for":[{"session":1,"authid":"a","authrole":"b"},{"session":1,"authid":"a"}]}`: "forward_for",
	} {
		r := start(t, nil)
		text := r.post("", `{"topic":"a","options":`+options+`}`).fault(t, 400).Error
		if want := "options." + name + " must be "; len(text) < len(want) || text[:len(want)] != want {
			t.Errorf("%s: error %q", options, text)
		}
		r.published(0)
	}
}
