// Package app is the applications that the Pusher adapters serve: their
// configuration, which both adapters and the webhook sink read alike ([Config],
// config.go, and what is wrong with it, check.go), and the [Set] of them at work,
// found by id and by key (set.go). A Set is never changed; a new configuration is
// a new Set, and [Compare] (changes.go) says whom the change concerns.
package app
