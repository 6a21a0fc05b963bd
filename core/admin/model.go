package admin

import (
	"context"
	"time"

	"github.com/pushbridge/bridge/core/route"
)

// Model is what there is to show and to steer: route.Routes. Its methods are
// called from any goroutine.
type Model interface {
	// Status is the state of every route now, in order of file name.
	Status() []route.Status
	// Reload looks at the folder of routes at once, as if it had been told of a
	// change, waits until what has changed has taken effect or failed, and returns
	// the states. ctx bounds the waiting; the change itself goes on.
	Reload(ctx context.Context) []route.Status
	// Restart replaces every process of a plugin by a new one, as a change of its
	// file would, and returns the names of the routes concerned. That nothing runs
	// the plugin is an error.
	Restart(ctx context.Context, plugin string) ([]string, error)
	// Metrics are those of the instances as Prometheus' text exposition, each
	// sample with the instance's name as the label instance. What does not answer
	// before ctx ends is left out.
	Metrics(ctx context.Context) []byte
}

// Bridge is what can be said of the bridge itself.
type Bridge struct {
	Version string    `json:"version"`
	Node    string    `json:"node,omitempty"`
	ConfDir string    `json:"conf_dir"`
	Pid     int       `json:"pid"`
	Started time.Time `json:"started"`
}

// Report is the bridge and its routes at one moment.
type Report struct {
	Bridge Bridge         `json:"bridge"`
	Routes []route.Status `json:"routes"`
}

// serves reports whether a route does its work.
func serves(s route.State) bool { return s == route.StateReady || s == route.StateDegraded }
