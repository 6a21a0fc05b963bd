//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryOf is what processes have resident, in bytes. A page that several have counts
// whole for each in rss; in pss each counts its part.
func memoryOf(pids ...int) (rss, pss int64, err error) {
	for _, pid := range pids {
		data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
		if err != nil {
			return 0, 0, fmt.Errorf("memory of %d: %w", pid, err)
		}
		for line := range strings.Lines(string(data)) {
			var total *int64
			switch name, _, _ := strings.Cut(line, ":"); name {
			case "Rss":
				total = &rss
			case "Pss":
				total = &pss
			default:
				continue
			}
			var kilobytes int64
			if _, err := fmt.Sscanf(line[len("Rss:"):], "%d kB", &kilobytes); err != nil {
				return 0, 0, fmt.Errorf("memory of %d: %q: %w", pid, line, err)
			}
			*total += kilobytes << 10
		}
	}
	return rss, pss, nil
}
