package route

import (
	"context"
	"sync"

	"github.com/pushbridge/bridge/core/metrics"
)

// Metrics are those of all instances as Prometheus text, each sample with the
// instance's name as the label instance; of two generations those of the newest.
// What does not answer before ctx ends is left out.
func (r *Routes) Metrics(ctx context.Context) []byte {
	var mu sync.Mutex // guards page
	page := metrics.NewPage()
	var asking sync.WaitGroup
	for _, m := range r.members() {
		asking.Go(func() {
			text, err := m.instance.Metrics(ctx)
			if err == nil {
				mu.Lock()
				err = page.Add(text, "instance", m.instance.Name())
				mu.Unlock()
			}
			if err != nil {
				r.env.Log.Warn("metrics of an instance are left out", "instance", m.instance.Name(), "error", err)
			}
		})
	}
	asking.Wait()
	return page.Text()
}

// members are the instances that run now.
func (r *Routes) members() []*member {
	var all []*member
	for _, one := range r.list() {
		one.mu.Lock()
		hosts := one.hosts
		one.mu.Unlock()
		for _, h := range hosts {
			if running := h.running(); running != nil {
				all = append(all, running.members...)
			}
		}
	}
	return all
}
