package admin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// hold is a folder that this process alone uses, as long as it holds the lock on
// a file in it. The kernel drops the lock of a process that ends, however it
// ends, so unlike a socket or a process id it cannot go stale.
type hold struct {
	folder string
	file   *os.File
	holder string // process id of who holds it instead
}

const lockName = "lock"

// errHeld says that a living process holds the folder.
var errHeld = errors.New("held by another process")

// holdPatiently is holdFolder for a folder that somebody may be cleaning up, or
// giving up, right now.
func holdPatiently(folder string) (*hold, error) {
	for try := 1; ; try++ {
		h, err := holdFolder(folder)
		if !errors.Is(err, errHeld) || try == 5 {
			return h, err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// holdFolder makes a private folder and takes its lock.
func holdFolder(folder string) (*hold, error) {
	for {
		if err := privateFolder(folder); err != nil {
			return nil, err
		}
		path := filepath.Join(folder, lockName)
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			continue // its holder removed the folder just now
		}
		if err != nil {
			return nil, err
		}
		h := &hold{folder: folder, file: file}
		if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			pid, _ := io.ReadAll(io.LimitReader(file, 20))
			h.holder = strings.TrimSpace(string(pid))
			file.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = errHeld
			}
			return h, err
		}
		if sameFile(file, path) {
			return h, h.sign()
		}
		file.Close() // its holder removed it just now: this lock holds nothing
	}
}

func (h *hold) sign() error {
	err := h.file.Truncate(0)
	if err == nil {
		_, err = h.file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	}
	if err != nil {
		h.release()
	}
	return err
}

// owner names the process that holds the folder, if it can be told.
func (h *hold) owner() string {
	if h.holder == "" {
		return ""
	}
	return " (pid " + h.holder + ")"
}

// release removes the folder and gives up the lock.
func (h *hold) release() {
	for _, path := range []string{filepath.Join(h.folder, socketName), filepath.Join(h.folder, lockName), h.folder} {
		_ = os.Remove(path)
	}
	h.file.Close()
}

func sameFile(file *os.File, path string) bool {
	ours, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(ours, there)
}

// privateFolder makes a folder (0700) of this user. One that somebody else has
// put there is an error.
func privateFolder(folder string) error {
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile; the caller comes back
	}
	if err != nil {
		return err
	}
	if owner, known := ownerOf(info); !info.IsDir() || !known || owner != os.Geteuid() {
		return fmt.Errorf("%s is not this user's folder: remove it, or set runtime_dir in bridge.yaml to a folder that nobody else can write to", folder)
	}
	if err := os.Chmod(folder, 0o700); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func ownerOf(info os.FileInfo) (uid int, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// removeAbandoned removes the control folders of this user's bridges that were
// killed, except the one that is about to be held.
func removeAbandoned(base, except string) {
	folders, err := filepath.Glob(filepath.Join(base, controlPrefix+"*"))
	if err != nil {
		return
	}
	for _, folder := range folders {
		info, err := os.Lstat(folder)
		if err != nil || folder == except {
			continue
		}
		if owner, known := ownerOf(info); !known || owner != os.Geteuid() || !info.IsDir() {
			continue
		}
		if h, err := holdFolder(folder); err == nil {
			h.release()
		}
	}
}
