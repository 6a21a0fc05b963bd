package settings

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pushbridge/bridge/core"
)

// Report collects what Validate finds.
type Report struct{ Findings []core.Finding }

// Error reports what keeps the configuration from being used. path leads to the
// value; see [Path].
func (r *Report) Error(path, format string, args ...any) {
	r.add(core.SeverityError, path, format, args)
}

// Warning reports what is probably not meant.
func (r *Report) Warning(path, format string, args ...any) {
	r.add(core.SeverityWarning, path, format, args)
}

func (r *Report) add(severity core.Severity, path, format string, args []any) {
	r.Findings = append(r.Findings, core.Finding{Path: path, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// Failed reports whether an error was found.
func (r *Report) Failed() bool { return core.Validation{Findings: r.Findings}.Failed() }

// Err makes one error of the errors found, nil if there are none.
func (r *Report) Err() error {
	var messages []string
	for _, f := range r.Findings {
		if f.Severity == core.SeverityError {
			messages = append(messages, strings.TrimPrefix(f.Path+": "+f.Message, ": "))
		}
	}
	if messages == nil {
		return nil
	}
	return fmt.Errorf("configuration: %s", strings.Join(messages, "; "))
}

// Path builds the JSON pointer of a finding from property names and indexes:
// Path("realms", 0, "name") is "/realms/0/name".
func Path(parts ...any) string {
	var b strings.Builder
	for _, part := range parts {
		b.WriteByte('/')
		switch p := part.(type) {
		case int:
			b.WriteString(strconv.Itoa(p))
		default:
			b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(p)))
		}
	}
	return b.String()
}
