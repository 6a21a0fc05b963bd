//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// cpuOf is the CPU time that processes have used so far.
func cpuOf(pids ...int) (time.Duration, error) {
	var total time.Duration
	for _, pid := range pids {
		data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
		if err != nil {
			return 0, fmt.Errorf("CPU time of %d: %w", pid, err)
		}
		// The name in parentheses may hold anything; fields count behind it.
		_, rest, _ := strings.Cut(string(data), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 13 {
			return 0, fmt.Errorf("CPU time of %d: %q", pid, data)
		}
		for _, field := range fields[11:13] { // utime, stime
			ticks, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return 0, fmt.Errorf("CPU time of %d: %w", pid, err)
			}
			total += time.Duration(ticks) * clockTick
		}
	}
	return total, nil
}

// clockTick is the unit of /proc's times; USER_HZ has been 100 on Linux always.
const clockTick = 10 * time.Millisecond

// residentOf is the memory that a process holds, in bytes.
func residentOf(pid int) (int, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	if err != nil {
		return 0, fmt.Errorf("memory of %d: %w", pid, err)
	}
	fields := strings.Fields(string(data))
	if len(fields) < 2 {
		return 0, fmt.Errorf("memory of %d: %q", pid, data)
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, fmt.Errorf("memory of %d: %w", pid, err)
	}
	return pages * os.Getpagesize(), nil
}

// descendants are a process and all that it has started and they have.
func descendants(pid int) ([]int, error) {
	all := []int{pid}
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("/proc does not tell the children of %d", pid)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // that thread has ended, and has no children any more
		}
		for _, field := range strings.Fields(string(data)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("children of %d: %w", pid, err)
			}
			below, err := descendants(child)
			if err != nil {
				return nil, err
			}
			all = append(all, below...)
		}
	}
	return all, nil
}
