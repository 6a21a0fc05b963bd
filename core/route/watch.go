package route

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pushbridge/bridge/core/config"
)

const (
	// watchEvery is the time between two looks. A file counts once it looked the
	// same twice, so that what is being written is left alone.
	watchEvery = 500 * time.Millisecond
	// watchPatience is for how long a folder that never keeps still is left alone.
	watchPatience = 2 * time.Second
	// rescanEvery finds what a look from outside does not show: a file of the same
	// length and time as before.
	rescanEvery = 30 * time.Second
)

// Watch reloads when the folder, a file that a route names, or a plugin's
// executable has changed, and whenever hangup says so; it returns when ctx ends.
//
// It looks instead of being told by the system: renames, links to elsewhere,
// mounted folders and editors' detours are all the same to it, and a hundred stats
// a second cost nothing to speak of.
func (r *Routes) Watch(ctx context.Context, hangup <-chan os.Signal) {
	look := time.NewTicker(watchEvery)
	defer look.Stop()
	rescan := time.NewTicker(rescanEvery)
	defer rescan.Stop()
	known := r.look()
	r.rescan(false) // what has changed since the files were read
	seen, since := known, time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			r.env.Log.Info("asked to reload")
			r.rescan(true)
			continue
		case <-rescan.C:
			r.rescan(false)
			continue
		case <-look.C:
		}
		now := r.look()
		switch {
		case now == known && seen == known:
			since = time.Now()
		case now != seen && time.Since(since) < watchPatience:
			seen = now
		default: // it has settled, or never will
			known, seen, since = now, now, time.Now()
			r.rescan(false)
			r.renew()
		}
	}
}

// look is what there is to see without reading: the folder, files that routes
// name, executables.
func (r *Routes) look() string {
	var seen strings.Builder
	paths, err := config.RouteFiles(r.env.ConfDir)
	fmt.Fprintln(&seen, err)
	for _, one := range r.list() {
		paths = append(paths, one.watched()...)
	}
	for _, path := range paths {
		fmt.Fprintln(&seen, path, fileStamp(path))
	}
	return seen.String()
}

// renew gives hosts successors whose executable is another file by now.
func (r *Routes) renew() {
	outdated := func(h *hostPlan) bool { return !h.inProcess && h.stamp != stampOf(h.executable) }
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.routes {
		if !r.stopped && one.runs(outdated) {
			one.log.Info("a plugin's executable has changed")
			one.want(wish{})
		}
	}
}
