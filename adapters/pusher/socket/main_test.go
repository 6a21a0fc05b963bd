package socket_test

import (
	"testing"

	"github.com/pushbridge/bridge/adapters/pusher/socket"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { coretest.Main(m, socket.Adapter{}) }
