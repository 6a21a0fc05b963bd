//go:build linux

package main

import "fmt"

// protocol is what applications and clients speak on a shipped route. It is also all
// that the baseline has to know to do the same work.
type protocol struct {
	name              string
	route             string // its file in the shipped conf.d
	inbound, outbound string // its adapters

	body    around                                  // in the body of a push
	target  func(method string, body []byte) string // of a push, signed where that is asked for
	message around                                  // in the message that clients get
	answer  string                                  // to a push, about as long as the bridge's

	path       string // of a client's WebSocket handshake
	join       []step // what a client says next
	ping, pong string // messages that ask for an answer, and the answer; empty: none
}

// around is the text before and behind the payload.
type around struct{ head, tail string }

// step is one message of a client, if there is one, and how the answer begins.
type step struct{ say, want string }

func protocols() []protocol { return []protocol{crossbarToWAMP(), pusher()} }

// protocolNamed is how the parts of a measurement, which are told a name, get it.
func protocolNamed(name string) (protocol, error) {
	for _, p := range protocols() {
		if p.name == name {
			return p, nil
		}
	}
	return protocol{}, fmt.Errorf("there is no protocol %q", name)
}

// crossbarToWAMP is a push to Crossbar.io's HTTP bridge that WAMP subscribers get.
func crossbarToWAMP() protocol {
	const topic, realm = "com.myapp.topic1", "realm1"
	return protocol{
		name: "wamp", route: "10-crossbar-wamp.yaml", inbound: "crossbar-pusher", outbound: "wamp",
		body:    around{`{"topic":"` + topic + `","args":["`, `"]}`},
		target:  func(string, []byte) string { return "/push" },
		message: around{`[36,1,1234567890123456,{},["`, `"]]`},
		answer:  `{"id":1234567890123456}`,
		path:    "/ws",
		join: []step{ // HELLO, WELCOME, SUBSCRIBE, SUBSCRIBED
			{`[1,"` + realm + `",{"roles":{"subscriber":{}}}]`, `[2,`},
			{`[32,1,{},"` + topic + `"]`, `[33,1,`},
		},
	}
}
