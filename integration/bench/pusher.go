//go:build linux

package main

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/pushbridge/bridge/adapters/pusher/signature"
)

// The first app of the shipped Pusher route.
const (
	pusherApp    = "app-id"
	pusherKey    = "app-key"
	pusherSecret = "app-secret"
	pusherPath   = "/app/" + pusherKey + "?protocol=7&client=bench&version=1"
)

// pusher is an event posted to the HTTP API of Pusher Channels that the clients of a
// channel get.
func pusher() protocol {
	const name, channel = "event", "channel"
	secret := signature.NewSecret(pusherSecret)
	return protocol{
		name: "pusher", route: "20-pusher.yaml", inbound: "pusher-rest", outbound: "pusher-socket",
		body: around{`{"name":"` + name + `","channel":"` + channel + `","data":"`, `"}`},
		target: func(method string, body []byte) string {
			return signedTarget(secret, method, "/apps/"+pusherApp+"/events", body, "")
		},
		message: around{`{"event":"` + name + `","channel":"` + channel + `","data":"`, `"}`},
		answer:  `{}`,
		path:    pusherPath,
		join: []step{
			{"", `{"event":"pusher:connection_established"`},
			{`{"event":"pusher:subscribe","data":{"channel":"` + channel + `"}}`, `{"event":"pusher_internal:subscription_succeeded"`},
		},
		ping: `{"event":"pusher:ping"`, pong: `{"event":"pusher:pong","data":{}}`,
	}
}

// signedTarget is the target of a request to the HTTP API. more is the rest of its
// query, whose names sort behind body_md5; every value is one that needs no escapes.
func signedTarget(secret *signature.Secret, method, path string, body []byte, more string) string {
	digest := md5.Sum(body)
	query := fmt.Sprintf("auth_key=%s&auth_timestamp=%d&auth_version=1.0", pusherKey, time.Now().Unix())
	if len(body) > 0 {
		query += "&body_md5=" + hex.EncodeToString(digest[:])
	}
	if more != "" {
		query += "&" + more
	}
	return path + "?" + query + "&auth_signature=" + secret.Sign([]byte(method+"\n"+path+"\n"+query))
}
