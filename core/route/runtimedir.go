package route

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const runtimePrefix = "bridge-"

// NewRuntimeDir makes the private folder (0700) of this process for its plugins'
// sockets, below base. Folders that killed bridges left there are removed. The
// caller removes it.
func NewRuntimeDir(base string) (string, error) {
	if err := os.MkdirAll(base, 0o700); err != nil {
		return "", fmt.Errorf("runtime folder: %w", err)
	}
	removeAbandoned(base)
	dir, err := os.MkdirTemp(base, runtimePrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", fmt.Errorf("runtime folder: %w", err)
	}
	return dir, nil
}

// removeAbandoned removes the folders of this user's bridges that do not run any
// more. A process id that was given anew only delays it.
func removeAbandoned(base string) {
	folders, err := filepath.Glob(filepath.Join(base, runtimePrefix+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(folder), runtimePrefix), "-")
		pid, err := strconv.Atoi(number)
		if err != nil || pid <= 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		if info, err := os.Lstat(folder); err == nil && info.IsDir() && ownedByUs(info) {
			_ = os.RemoveAll(folder)
		}
	}
}

func ownedByUs(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
