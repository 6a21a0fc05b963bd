package bus

import (
	"slices"
	"sync"

	"github.com/pushbridge/bridge/core"
)

// Route is what a table knows of one file: which instances emit into it, and
// its edges in file order.
type Route struct {
	Name    string
	Sources []string
	Ack     core.Ack // AckRoute means AckQueued
	Edges   []*Edge
}

// Table says where the events of each source go. It is immutable.
type Table struct {
	sources map[string]*lines

	// gate counts the publications that follow the table, so that SetTable can
	// wait for them. Publications never wait inside it.
	gate    sync.RWMutex
	retired bool
}

// lines are the edges of one source, over all its routes.
type lines struct {
	ack   core.Ack // the strictest of the routes'
	edges []*Edge
}

// NewTable makes a table of routes. A source of several routes waits for the
// strictest ack of them.
func NewTable(routes []Route) *Table {
	t := &Table{sources: make(map[string]*lines)}
	for _, route := range routes {
		for _, source := range route.Sources {
			l := t.sources[source]
			if l == nil {
				l = &lines{}
				t.sources[source] = l
			}
			l.add(source, route)
		}
	}
	return t
}

// add adds a route's edges. An event is never returned to its emitter.
func (l *lines) add(source string, route Route) {
	if route.Ack == core.AckRoute {
		route.Ack = core.AckQueued
	}
	l.ack = max(l.ack, route.Ack)
	for _, edge := range route.Edges {
		if edge.target.name == source {
			continue
		}
		l.edges = append(l.edges, edge)
	}
}

func (t *Table) enter() bool {
	t.gate.RLock()
	if t.retired {
		t.gate.RUnlock()
		return false
	}
	return true
}

func (t *Table) leave() { t.gate.RUnlock() }

// retire waits for the publications that follow the table; later ones find the
// new table.
func (t *Table) retire() {
	t.gate.Lock()
	t.retired = true
	t.gate.Unlock()
}

// answerers are the targets that answer the op, once each, in file order.
func (l *lines) answerers(op string) []*Target {
	var targets []*Target
	for _, edge := range l.edges {
		if slices.Contains(edge.target.describe().Calls, op) && !slices.Contains(targets, edge.target) {
			targets = append(targets, edge.target)
		}
	}
	return targets
}
