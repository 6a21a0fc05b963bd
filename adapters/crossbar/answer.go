package crossbar

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	answerType  = "application/json; charset=UTF-8"
	answerCache = "no-store,no-cache,must-revalidate,max-age=0"

	// libraryPrefix begins the User-Agent of the client library that takes only
	// 202 for a success.
	libraryPrefix = "crossbarconnect"
)

// preflight answers OPTIONS.
func (x *exchange) preflight(w http.ResponseWriter) {
	x.commonHeader(w.Header())
	w.Header().Set("Allow", methods)
	w.Header().Set("Access-Control-Allow-Methods", methods)
	w.WriteHeader(http.StatusOK)
	x.record(codePreflight, http.StatusOK, outcome{})
}

func (x *exchange) commonHeader(header http.Header) {
	header.Set("Content-Type", answerType)
	header.Set("Cache-Control", answerCache)
	x.live.allowOrigin(header, x.request.Header)
}

// answer writes the outcome and records it.
func (x *exchange) answer(w http.ResponseWriter, result outcome) {
	x.commonHeader(w.Header())
	if result.fault == nil {
		status := x.successStatus()
		w.WriteHeader(status)
		body := append(x.buffers.data[:0], `{"id":`...)
		body = strconv.AppendUint(body, result.id, 10)
		x.buffers.data = append(body, '}')
		_, _ = w.Write(x.buffers.data) // a client that is gone needs no answer
		x.record(codeOK, status, result)
		return
	}
	f := result.fault
	if f.code == codeMethod {
		w.Header().Set("Allow", methods)
	}
	if f.after > 0 {
		seconds := (f.after + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	if f.closes {
		w.Header().Set("Connection", "close")
	}
	status := f.shown(x.live)
	w.WriteHeader(status)
	_, _ = w.Write(f.body())
	x.record(f.code, status, result)
}

// successStatus is the one that the client, the profile or the configuration
// wants.
func (x *exchange) successStatus() int {
	switch {
	case x.live.config.SuccessStatus != 0:
		return int(x.live.config.SuccessStatus)
	case x.live.config.Type == typePusher, strings.HasPrefix(x.request.UserAgent(), libraryPrefix):
		return http.StatusAccepted
	}
	return http.StatusOK
}

// body is the fault as the protocol writes it.
func (f *fault) body() []byte {
	var b bytes.Buffer
	b.WriteString(`{"error":`)
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(f.text) // a string is always JSON
	b.Truncate(b.Len() - len("\n"))
	b.WriteString(`,"args":`)
	b.WriteString(orElse(f.args, "[]"))
	b.WriteString(`,"kwargs":`)
	b.WriteString(orElse(f.kwargs, "{}"))
	b.WriteByte('}')
	return b.Bytes()
}

func orElse(text json.RawMessage, fallback string) string {
	if len(text) == 0 {
		return fallback
	}
	return string(text)
}

// record counts the request and logs it: failures of the bridge as warnings, one
// a second at most, everything else only for those who ask.
func (x *exchange) record(code string, status int, result outcome) {
	x.metrics.requests.WithLabelValues(code, strconv.Itoa(status)).Inc()
	level := slog.LevelDebug
	if x.live.config.Debug {
		level = slog.LevelInfo
	}
	if status >= http.StatusInternalServerError {
		x.failureNotice.Do(func() { level = slog.LevelWarn })
	}
	if !x.log.Enabled(context.Background(), level) {
		return
	}
	attributes := []slog.Attr{
		slog.String("code", code), slog.Int("status", status),
		slog.String("method", clip(x.request.Method)), slog.Any("client", x.from.Addr),
	}
	if x.sender != nil && x.sender.name != "" {
		attributes = append(attributes, slog.String("key", x.sender.name))
	}
	if x.topic != "" {
		attributes = append(attributes, slog.String("topic", clip(x.topic)))
	}
	if result.id != 0 {
		attributes = append(attributes, slog.Uint64("publication", result.id))
	}
	if result.event != "" {
		attributes = append(attributes, slog.String("event", result.event))
	}
	if result.fault != nil {
		attributes = append(attributes, slog.String("answer", result.fault.text))
	}
	if x.cause != nil {
		attributes = append(attributes, slog.String("error", x.cause.Error()))
	}
	x.log.LogAttrs(context.Background(), level, "request", attributes...)
}
