package rest

import (
	"net/http"
	"net/url"
	"strings"
)

// operation is what a request asks for.
type operation uint8

const (
	opPostEvent operation = iota
	opPostBatch
	opGetChannels
	opGetChannel
	opGetStats // the old form of opGetChannel
	opGetUsers
	opTerminate
	opPostToChannel // the old form of opPostEvent

	opUnknown // none of these; for metrics
)

// String returns the operation's name in metrics and log lines.
func (o operation) String() string {
	return [...]string{"events", "batch_events", "channels", "channel", "stats", "users", "terminate", "channel_events", "unknown"}[o]
}

// method is the one that the operation has.
func (o operation) method() string {
	switch o {
	case opPostEvent, opPostBatch, opTerminate, opPostToChannel:
		return http.MethodPost
	}
	return http.MethodGet
}

// publishes reports whether the operation counts as publishing, rather than
// reading, for the app's rates.
func (o operation) publishes() bool { return o.method() == http.MethodPost }

// route is what a path says.
type route struct {
	operation operation
	app       string // empty where the path has none: then the key tells
	channel   string
	user      string

	// path and escaped are the whole path, decoded and as it came, without prefix.
	path, escaped string
}

// findRoute reads a path; ok is false if there is nothing under it.
func findRoute(u *url.URL, prefix string) (r route, ok bool) {
	r.escaped, ok = strings.CutPrefix(u.EscapedPath(), prefix)
	if !ok {
		return r, false
	}
	r.path = strings.TrimPrefix(u.Path, prefix)
	parts := strings.Split(r.escaped, "/")
	for i, part := range parts {
		decoded, err := url.PathUnescape(part)
		if err != nil || decoded == "" && i > 0 {
			return r, false
		}
		parts[i] = decoded
	}
	switch {
	case len(parts) >= 4 && parts[1] == "apps":
		r.app = parts[2]
		return r, r.find(parts[3:])
	case len(parts) >= 4 && parts[1] == "users":
		return r, r.find(parts[1:])
	}
	return r, false
}

// find reads what stands behind the app.
func (r *route) find(parts []string) bool {
	switch {
	case len(parts) == 1:
		switch parts[0] {
		case "events":
			r.operation = opPostEvent
		case "batch_events":
			r.operation = opPostBatch
		case "channels":
			r.operation = opGetChannels
		default:
			return false
		}
		return true
	case parts[0] == "users" && len(parts) >= 3 && parts[len(parts)-1] == "terminate_connections":
		r.operation = opTerminate
		r.user = strings.Join(parts[1:len(parts)-1], "/") // some clients leave a slash in an id as it is
		return true
	case parts[0] != "channels":
		return false
	}
	r.channel = parts[1]
	switch {
	case len(parts) == 2:
		r.operation = opGetChannel
	case len(parts) != 3:
		return false
	case parts[2] == "users":
		r.operation = opGetUsers
	case parts[2] == "stats":
		r.operation = opGetStats
	case parts[2] == "events":
		r.operation = opPostToChannel
	default:
		return false
	}
	return true
}
