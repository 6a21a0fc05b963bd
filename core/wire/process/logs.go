package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"golang.org/x/time/rate"
)

// Limits on what a plugin prints.
const (
	maxLine   = 64 << 10 // bytes; the rest of a longer line is dropped
	tailLines = 20       // kept to explain a failure
	lineRate  = 200      // log lines per second, over a burst of
	lineBurst = 2000
)

// output takes what a plugin process prints: log lines of the SDK (JSON objects)
// become log records of this process, anything else a warning. The last lines
// are kept to explain why a process ended.
type output struct {
	log   *slog.Logger
	limit *rate.Limiter

	mu         sync.Mutex
	tail       []string
	suppressed int
}

func newOutput(log *slog.Logger) *output {
	return &output{log: log, limit: rate.NewLimiter(lineRate, lineBurst)}
}

// readLines logs lines until the reader ends.
func (o *output) readLines(from string, reader *bufio.Reader) {
	for {
		line, err := readLine(reader)
		if err != nil {
			return
		}
		o.line(from, line)
	}
}

// line takes one line. It does not trust it.
func (o *output) line(from, line string) {
	if line == "" {
		return
	}
	record, isLog := parseLogLine(line)
	if !isLog {
		record = logRecord{level: slog.LevelWarn, message: line, attrs: []slog.Attr{slog.String("output", from)}}
	}
	if !isLog || record.level >= slog.LevelWarn {
		o.keep(record)
	}
	if !o.allow() {
		return
	}
	o.log.LogAttrs(context.Background(), record.level, record.message, record.attrs...)
}

func (o *output) keep(record logRecord) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.tail) == tailLines {
		o.tail = o.tail[1:]
	}
	o.tail = append(o.tail, record.message)
}

// allow applies the rate limit and says once in a while how much it swallowed.
func (o *output) allow() bool {
	allowed := o.limit.Allow()
	o.mu.Lock()
	suppressed := o.suppressed
	if allowed {
		o.suppressed = 0
	} else {
		o.suppressed++
	}
	o.mu.Unlock()
	if allowed && suppressed > 0 {
		o.log.Warn("plugin prints too much; lines left out", "lines", suppressed)
	}
	return allowed
}

// lastLines are the last warnings, errors and foreign lines.
func (o *output) lastLines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]string(nil), o.tail...)
}

// Write takes what an adapter prints through go-plugin's copies of stdout and
// stderr; it is given whole writes.
func (o *output) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		o.line("output", strings.TrimRight(line, "\r\n"))
	}
	return len(p), nil
}

// readLine reads a line without its end, cut off at maxLine.
func readLine(reader *bufio.Reader) (string, error) {
	part, err := reader.ReadSlice('\n')
	line := string(part)
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = reader.ReadSlice('\n')
	}
	if err != nil && line == "" {
		return "", err
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// logRecord is one log line of the SDK.
type logRecord struct {
	level   slog.Level
	message string
	attrs   []slog.Attr
}

// parseLogLine reads a line that wire's log handler wrote. Fields of unexpected
// types are kept as they are: a plugin may write what it likes.
func parseLogLine(line string) (logRecord, bool) {
	if !strings.HasPrefix(line, "{") {
		return logRecord{}, false
	}
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return logRecord{}, false
	}
	message, isText := fields[slog.MessageKey].(string)
	level, hasLevel := fields[slog.LevelKey].(string)
	if !isText || !hasLevel {
		return logRecord{}, false
	}
	record := logRecord{message: message}
	if err := record.level.UnmarshalText([]byte(level)); err != nil {
		record.level = slog.LevelWarn
	}
	for key, value := range fields {
		switch key {
		case slog.MessageKey, slog.LevelKey, slog.TimeKey:
		default:
			record.attrs = append(record.attrs, slog.Any(key, plain(value)))
		}
	}
	slices.SortFunc(record.attrs, func(a, b slog.Attr) int { return strings.Compare(a.Key, b.Key) })
	return record, true
}

// plain makes a decoded JSON value printable by any log handler.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	case string, bool, nil:
		return v
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}
