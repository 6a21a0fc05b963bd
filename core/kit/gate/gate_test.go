package gate

import (
	"context"
	"errors"
	"sync"
	"testing"
)

func TestGate(t *testing.T) {
	var g Gate
	ctx := context.Background()
	if err := g.Wait(ctx); err != nil {
		t.Errorf("nothing is inside: %v", err)
	}
	if !g.Enter(3) {
		t.Fatal("the gate is closed from the start")
	}
	g.Leave(1)
	g.Close()
	if g.Enter(1) {
		t.Error("somebody entered a closed gate")
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := g.Wait(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("waited for what has not left: %v", err)
	}
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			if err := g.Wait(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	g.Leave(2)
	waiting.Wait()
}
