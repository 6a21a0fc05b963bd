package config

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/pushbridge/bridge/core"
)

// Position is a place in a file; lines and columns count from 1. A zero Line
// means the file as a whole.
type Position struct {
	Line, Column int
}

// Finding is one remark on a file.
type Finding struct {
	File     string        `json:"file"`
	Line     int           `json:"line,omitempty"`
	Column   int           `json:"column,omitempty"`
	Severity core.Severity `json:"severity"`
	// Path is the JSON pointer of the value, "" for the whole file.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
}

// String is FILE:LINE:COLUMN: SEVERITY: MESSAGE, as editors understand it.
func (f Finding) String() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", f.File, f.Line, f.Column)
	}
	return fmt.Sprintf("%s: %s: %s", place, f.Severity, f.Message)
}

// Findings of one file or many.
type Findings []Finding

// Failed reports whether one of them is an error.
func (f Findings) Failed() bool {
	return slices.ContainsFunc(f, func(x Finding) bool { return x.Severity == core.SeverityError })
}

// Sort orders findings by place.
func (f Findings) Sort() {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
