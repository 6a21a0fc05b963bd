// Package channel knows the names of Pusher channels: which are legal, and what
// their prefix says about them. It keeps no channels; the adapters of this folder
// do.
//
// The rules are those of the Pusher Channels protocol: [Check] and [Escape]
// (name.go), and the kinds (kind.go).
package channel
