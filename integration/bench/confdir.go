//go:build linux

package main

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// copyConf copies the route files that keep takes from one folder into another,
// which it makes. Every local address gets a free port, the same port the same
// one; edit, if there is one, changes each text besides.
func copyConf(from, to string, keep string, edit func(string) (string, error)) error {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	ports := make(map[string]string)
	copied := 0
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if matched, err := filepath.Match(keep, name); err != nil || !matched {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := movePorts(string(data), ports)
		if err == nil && edit != nil {
			text, err = edit(text)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		copied++
		return os.WriteFile(filepath.Join(to, name), []byte(text), 0o644)
	})
	if err == nil && copied == 0 {
		err = fmt.Errorf("there is no %s in %s", keep, from)
	}
	return err
}

// movePorts puts free ports in the place of those in text; ports remembers them.
func movePorts(text string, ports map[string]string) (string, error) {
	var failed error
	address := regexp.MustCompile(`\b(127\.0\.0\.1|0\.0\.0\.0|localhost):\d+`)
	moved := address.ReplaceAllStringFunc(text, func(found string) string {
		_, port, _ := strings.Cut(found, ":")
		if ports[port] == "" {
			free, err := freePort()
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
