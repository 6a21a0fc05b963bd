//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// copyConf copies the files of one folder into another, which it makes. Every local
// address gets a free port, the same port the same one.
func copyConf(from, to string) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	ports := make(map[string]string)
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := movePorts(string(data), ports)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return os.WriteFile(filepath.Join(to, entry.Name()), []byte(text), 0o644)
	})
}

// copyRoute puts copies of one file, each a route on free ports of its own, into a
// folder that it makes. edit, if there is one, changes the text besides.
func copyRoute(file, to string, copies int, edit func(string) (string, error)) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(data)
	if edit != nil {
		if text, err = edit(text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	ports := make(map[string]string)
	for n := range copies {
		// Each moves on from the ports of the one before, so that all are remembered.
		if text, err = movePorts(text, ports); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		name := fmt.Sprintf("route-%02d%s", n, filepath.Ext(file))
		if err := os.WriteFile(filepath.Join(to, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// movePorts puts free ports in the place of those in text; ports remembers them, and
// none is given twice.
func movePorts(text string, ports map[string]string) (string, error) {
	var failed error
	address := regexp.MustCompile(`\b(127\.0\.0\.1|0\.0\.0\.0|localhost):\d+`)
	moved := address.ReplaceAllStringFunc(text, func(found string) string {
		_, port, _ := strings.Cut(found, ":")
		if ports[port] == "" {
			free, err := freePort()
			for err == nil && slices.Contains(slices.Collect(maps.Values(ports)), free) {
				free, err = freePort()
			}
			if err != nil {
				failed = err
			}
			ports[port] = free
		}
		return "127.0.0.1:" + ports[port]
	})
	return moved, failed
}

// freePort is a free one; nothing guards it.
func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

// inOneProcess makes the bridge run a route's adapters itself.
func inOneProcess(text string) (string, error) {
	adapter := regexp.MustCompile(`(?m)^( *)(- )?(adapter: \S+)$`)
	if !adapter.MatchString(text) {
		return "", fmt.Errorf("there is no adapter in it")
	}
	return adapter.ReplaceAllStringFunc(text, func(line string) string {
		indent := strings.Index(line, "adapter:")
		return line + "\n" + strings.Repeat(" ", indent) + "isolation: none"
	}), nil
}
