package wamp_test

import (
	"testing"

	"github.com/pushbridge/bridge/adapters/wamp"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { coretest.Main(m, wamp.Adapter{}) }
