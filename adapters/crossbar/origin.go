package crossbar

import (
	"net/http"
	"strings"

	"github.com/pushbridge/bridge/core/kit/httpin"
)

// Special entries of cors_origins.
const (
	anyOrigin  = "*"
	nullOrigin = "null" // what a page from a file or in a sandbox calls itself
)

// methods that the endpoint takes, as the headers of an OPTIONS answer list them.
const methods = "POST,PUT,OPTIONS"

// origins are the web origins whose pages may send requests.
type origins struct {
	any    bool
	listed map[string]bool
}

func newOrigins(list []string) origins {
	o := origins{listed: make(map[string]bool, len(list))}
	for _, origin := range list {
		if origin == anyOrigin {
			o.any = true
		}
		o.listed[normalOrigin(origin)] = true
	}
	return o
}

// lists reports whether the configuration names the origin.
func (o origins) lists(origin string) bool { return o.any || o.listed[normalOrigin(origin)] }

// normalOrigin is an origin in lower case without its scheme's default port.
func normalOrigin(origin string) string {
	origin = strings.ToLower(origin)
	switch {
	case strings.HasPrefix(origin, "https://"):
		return strings.TrimSuffix(origin, ":443")
	case strings.HasPrefix(origin, "http://"):
		return strings.TrimSuffix(origin, ":80")
	}
	return origin
}

// checkOrigin refuses pages of foreign origins where requests are not signed: a
// browser sends such requests with nobody's consent.
func (l *live) checkOrigin(header http.Header, from httpin.Client) *fault {
	origin, sent := header["Origin"]
	if !sent || l.signed() {
		return nil
	}
	if len(origin) == 1 && (l.origins.lists(origin[0]) || normalOrigin(origin[0]) == normalOrigin(from.Scheme+"://"+from.Host)) {
		return nil
	}
	return &fault{code: codeOrigin, status: http.StatusForbidden,
		text: "Request denied: web pages of this origin may not publish here (cors_origins)."}
}

// allowOrigin sets the headers that let a listed page read the answer.
func (l *live) allowOrigin(answer http.Header, request http.Header) {
	if len(l.origins.listed) == 0 {
		return
	}
	answer.Add("Vary", "Origin")
	origin := request.Get("Origin")
	switch {
	case l.origins.any && (origin == "" || origin == nullOrigin):
		answer.Set("Access-Control-Allow-Origin", anyOrigin)
	case origin != "" && l.origins.lists(origin):
		answer.Set("Access-Control-Allow-Origin", origin)
	default:
		return
	}
	if wanted := request.Get("Access-Control-Request-Headers"); wanted != "" {
		answer.Set("Access-Control-Allow-Headers", wanted)
	}
}
