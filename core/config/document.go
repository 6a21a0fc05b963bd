package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/pushbridge/bridge/core"
)

// Limits on a file.
const (
	maxFileBytes = 1 << 20
	maxNodes     = 100_000 // values, with YAML aliases followed
	maxDepth     = 100
)

// document is a parsed file: its value (map[string]any, []any, string, bool,
// nil, int, int64, uint64, float64 or json.Number) and where each part stands.
type document struct {
	file  string
	value any
	// positions by JSON pointer; of a member of an object, where its key stands.
	positions map[string]Position
	// unquoted marks scalars that the file does not write as text, by pointer.
	unquoted map[string]bool

	nodes    int
	findings Findings
}

// readDocument reads and parses a file by its extension. Findings are in the
// document; its value is nil if there is nothing to go on with.
func readDocument(file string) (*document, []byte) {
	d := &document{file: file, positions: make(map[string]Position), unquoted: make(map[string]bool)}
	data, err := readBounded(file)
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
		return d, nil
	}
	if len(strings.TrimSpace(string(data))) == 0 {
		d.errorAt(Position{}, "", "the file is empty")
		return d, data
	}
	switch filepath.Ext(file) {
	case ".json":
		d.parseJSON(data)
	case ".toml":
		d.parseTOML(data)
	default:
		d.parseYAML(data)
	}
	return d, data
}

// readBounded reads a regular file of at most maxFileBytes.
func readBounded(file string) ([]byte, error) {
	// Not to wait for somebody to write to what turns out to be a pipe.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("this is no regular file")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, cause(err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxFileBytes)
	}
	return data, nil
}

// cause leaves out the file name, which the finding has already.
func cause(err error) error {
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return fmt.Errorf("cannot be read: %w", pathError.Err)
	}
	return err
}

func (d *document) errorAt(at Position, path, format string, args ...any) {
	d.findings = append(d.findings, Finding{
		File: d.file, Line: at.Line, Column: at.Column, Path: path,
		Severity: core.SeverityError, Message: fmt.Sprintf(format, args...),
	})
}

// locate makes a finding about the value that path leads to; a path that leads
// nowhere is placed where it leaves the document.
func (d *document) locate(severity core.Severity, path, message string) Finding {
	at, known := d.positions[path]
	for place := path; !known && place != ""; {
		place = place[:strings.LastIndexByte(place, '/')]
		at, known = d.positions[place]
	}
	return Finding{File: d.file, Line: at.Line, Column: at.Column, Path: path, Severity: severity, Message: message}
}

// count guards against documents that unfold beyond all measure.
func (d *document) count(depth int) bool {
	if d.nodes++; d.nodes == maxNodes {
		d.errorAt(Position{}, "", "the file holds more than %d values", maxNodes)
	}
	return d.nodes < maxNodes && depth < maxDepth
}

// child is the pointer of a member or an element.
func child(path string, part any) string {
	switch p := part.(type) {
	case int:
		return path + "/" + strconv.Itoa(p)
	default:
		return path + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(fmt.Sprint(p))
	}
}

// positionOf counts lines and columns up to an offset.
func positionOf(data []byte, offset int) Position {
	before := string(data[:min(offset, len(data))])
	return Position{
		Line:   strings.Count(before, "\n") + 1,
		Column: len(before) - strings.LastIndexByte(before, '\n'),
	}
}
