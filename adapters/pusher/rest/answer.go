package rest

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// reply is what a request gets: a body that is JSON, or a fault.
type reply struct {
	status int // of a success; 0 means 200
	body   []byte
	fault  *fault
}

// emptyObject is the answer that says no more than that it is done.
const emptyObject = "{}"

// write writes the reply, counts it and logs it.
func (x *exchange) write(w http.ResponseWriter, r reply) {
	status, body := r.status, r.body
	header := w.Header()
	switch {
	case r.fault != nil:
		status, body = r.fault.status, x.explain(header, r.fault)
	case status == 0:
		status = http.StatusOK
		header.Set("Content-Type", "application/json")
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone needs no answer
	x.record(status, r.fault)
}

// explain sets the headers of a fault and returns its text.
func (x *exchange) explain(header http.Header, f *fault) []byte {
	if f.allow != "" {
		header.Set("Allow", f.allow)
	}
	if f.after > 0 {
		seconds := (f.after + time.Second - 1) / time.Second
		header.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if f.closes {
		header.Set("Connection", "close")
	}
	header.Set("X-Content-Type-Options", "nosniff")
	if !strings.Contains(x.request.Header.Get("Accept"), "application/json") {
		header.Set("Content-Type", "text/plain; charset=utf-8")
		return []byte(f.text + "\n")
	}
	header.Set("Content-Type", "application/json")
	text, err := json.Marshal(map[string]any{"error": f.text, "code": f.status})
	if err != nil {
		return []byte(emptyObject) // a string and a number are always JSON
	}
	return text
}

// record counts the request and logs it: failures of the bridge as warnings, one
// a second at most, everything else only for those who ask.
func (x *exchange) record(status int, f *fault) {
	x.metrics.request(x, status, f)
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError {
		x.failureNotice.Do(func() { level = slog.LevelWarn })
	}
	if !x.log.Enabled(context.Background(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("operation", x.route.operation.String()), slog.Int("status", status),
		slog.Any("client", x.live.proxies.Client(x.request).Addr),
	}
	if x.app != nil {
		attributes = append(attributes, slog.String("app", string(x.app.ID)))
	}
	if library := x.request.Header.Get("X-Pusher-Library"); library != "" {
		attributes = append(attributes, slog.String("library", clip(library)))
	}
	if f != nil {
		attributes = append(attributes, slog.String("reason", f.reason), slog.String("answer", clip(f.text)))
		if f.cause != nil {
			attributes = append(attributes, slog.String("error", f.cause.Error()))
		}
	}
	x.log.LogAttrs(context.Background(), level, "request", attributes...)
}

// clip shortens a text that a client sent for an answer or a log line.
func clip(text string) string {
	const enough = 200
	if len(text) <= enough {
		return text
	}
	cut := enough
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
