package stream

import (
	"fmt"

	"github.com/hashicorp/go-plugin"

	"github.com/pushbridge/bridge/core"
)

// ProtocolVersion is the major version of the boundary: go-plugin negotiates it,
// and it is the last part of the protobuf package's name.
const ProtocolVersion = 1

// PluginName is the one entry of the go-plugin set of each version.
const PluginName = "bridge"

// Environment of a plugin process.
const (
	// EnvHostSocket is the path of the unix socket on which the bridge serves
	// this process. Beside it lies [ListenSocket].
	EnvHostSocket = "BRIDGE_HOST_SOCKET"
	// EnvWatchFD is the number of a file descriptor that nobody ever writes to:
	// when reading it ends, the bridge is gone and the plugin must exit.
	EnvWatchFD = "BRIDGE_WATCH_FD"
	// EnvLogLevel is the level from which records are written: DEBUG, INFO, …
	EnvLogLevel = "BRIDGE_LOG_LEVEL"
)

// ListenSocket is the file name of the unix socket on which the bridge hands over
// listening descriptors.
const ListenSocket = "listen.sock"

// Handshake is what go-plugin checks before it talks to a process. The cookie
// protects nobody; it tells a plugin started by hand from one that the bridge
// started.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  ProtocolVersion,
		MagicCookieKey:   "BRIDGE_PLUGIN",
		MagicCookieValue: "bridge.v1",
	}
}

// CheckInstanceName refuses names that cannot be an instance's.
func CheckInstanceName(name string) error {
	if name == "" || len(name) > core.MaxSpaceBytes {
		return fmt.Errorf("instance name of %d bytes", len(name))
	}
	return nil
}
