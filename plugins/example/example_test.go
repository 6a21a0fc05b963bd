package main

import (
	"testing"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/coretest"
)

func TestMain(m *testing.M) { coretest.Main(m, tickerAdapter{}, logAdapter{}) }

func TestTicker(t *testing.T) {
	coretest.Run(t, coretest.Subject{
		Adapter: tickerAdapter{},
		Config:  func(string) string { return `{"interval":"1ms"}` },
		Emit:    func(testing.TB, string) {}, // it ticks by itself
	})
}

func TestLog(t *testing.T) {
	coretest.Run(t, coretest.Subject{
		Adapter: logAdapter{},
		Config:  func(string) string { return `{"data":false}` },
		Event:   core.Event{Topic: "t", Type: core.TypeText, Data: []byte("x")},
	})
}
