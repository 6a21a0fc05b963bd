package route

import (
	"context"
	"slices"

	"github.com/pushbridge/bridge/core/bus"
)

// announce leads what new sources publish along the edges to come, before they
// start. Those that were there, here or in other files, keep to the edges that they
// have until it is certain that the change takes effect.
func (c *change) announce(edges []*bus.Edge) {
	coming := c.plan.busRoute(edges)
	coming.Sources = without(c.plan.ownSources(), c.before.plan.ownSources())
	c.route.announce(&coming)
}

// withdraw ends edges that nothing which goes on has published to.
func (c *change) withdraw(edges []*bus.Edge) {
	c.route.announce(nil)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	closeEdges(gone, without(edges, c.before.edges))
}

// makeEdges keeps the edges that are as before, with what they have queued; others
// that lead to the same target come after the old ones.
func (c *change) makeEdges() []*bus.Edge {
	before := c.before
	var edges []*bus.Edge
	taken := make(map[*bus.Edge]bool)
	find := func(same func(n int) bool) *bus.Edge {
		for n, edge := range before.edges {
			if !taken[edge] && same(n) {
				taken[edge] = true
				return edge
			}
		}
		return nil
	}
	kept := make([]*bus.Edge, len(c.plan.edges))
	for i, planned := range c.plan.edges {
		kept[i] = find(func(n int) bool {
			return before.plan.edges[n].target == planned.target && before.plan.edges[n].written == planned.written
		})
	}
	for i, planned := range c.plan.edges {
		edge := kept[i]
		if edge == nil {
			options := planned.options
			options.Log = c.route.log
			options.After = find(func(n int) bool { return before.plan.edges[n].target == planned.target })
			edge = bus.NewEdge(c.env().Bus.Target(planned.target), options)
		}
		edges = append(edges, edge)
	}
	return edges
}

// without are the elements of all that are not among others.
func without[E comparable](all, others []E) []E {
	return slices.DeleteFunc(slices.Clone(all), func(e E) bool { return slices.Contains(others, e) })
}
