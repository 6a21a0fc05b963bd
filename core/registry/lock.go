package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Lock pins plugins: sha256 sums, in hex, by file name (bridge-plugin-NAME). The
// name has no folder, so that one lock serves wherever the plugins are put.
//
// Its file is what sha256sum prints and checks: a sum, two blanks and a name on
// each line, with comments after a number sign.
type Lock map[string]string

const maxLockBytes = 1 << 20

// ReadLock reads a lock. A file that is not there is fs.ErrNotExist.
func ReadLock(path string) (Lock, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxLockBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxLockBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxLockBytes)
	}
	lock, err := ParseLock(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return lock, nil
}

// ParseLock reads the text of a lock. An error begins with the line's number.
func ParseLock(text []byte) (Lock, error) {
	lock := make(Lock)
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line := strings.TrimSpace(string(line))
		if line == "" || line[0] == '#' {
			continue
		}
		sum, name, _ := strings.Cut(line, " ")
		name = strings.TrimPrefix(strings.TrimSpace(name), "*") // sha256sum's mark of a binary file
		sum = strings.ToLower(sum)
		if decoded, err := hex.DecodeString(sum); err != nil || len(decoded) != sha256.Size {
			return nil, fmt.Errorf("%d: want a sha256 sum and a file name, as sha256sum prints them", number)
		}
		if plugin, ok := strings.CutPrefix(name, FilePrefix); !ok || plugin == "" || strings.ContainsRune(name, filepath.Separator) {
			return nil, fmt.Errorf("%d: %q is no file name of a plugin (%sNAME)", number, name, FilePrefix)
		}
		if _, twice := lock[name]; twice {
			return nil, fmt.Errorf("%d: %s is locked on an earlier line already", number, name)
		}
		lock[name] = sum
	}
	return lock, nil
}

// Text is what the lock's file holds.
func (l Lock) Text() []byte {
	var text bytes.Buffer
	text.WriteString("# The plugins that bridge may execute. `bridge plugins lock` writes this file;\n" +
		"# commit it, and `bridge plugins check` says what has changed.\n")
	for _, name := range slices.Sorted(maps.Keys(l)) {
		fmt.Fprintf(&text, "%s  %s\n", l[name], name)
	}
	return text.Bytes()
}

// Write replaces the file at path, in one step.
func (l Lock) Write(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	defer os.Remove(f.Name()) // it is gone by then, if all went well
	_, err = f.Write(l.Text())
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write the lock: %w", err)
	}
	return nil
}

// Checksum is the sha256 sum, in hex, of what a file holds. It reads the file and
// does not execute it.
func Checksum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("checksum: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("checksum of %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// lockFile is where a lock is, if there is one.
type lockFile struct {
	path     string // empty: there is none
	required bool
}

// demand returns the sum that the lock demands of an executable, "" if there is
// no lock. The file has that sum now; whether it still has when it is executed is
// for who executes it to see.
func (l lockFile) demand(path string) (string, error) {
	if l.path == "" {
		return "", nil
	}
	lock, err := ReadLock(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !l.required:
		return "", nil
	case errors.Is(err, fs.ErrNotExist):
		return "", &IntegrityError{CodeLock, path, fmt.Sprintf("bridge.yaml names the lock %s, and it is not there", l.path),
			"make it with `bridge plugins lock`, or leave out plugins_lock"}
	case err != nil:
		return "", &IntegrityError{CodeLock, path, fmt.Sprintf("the lock cannot be used: %s", err),
			"repair it, or make a new one with `bridge plugins lock`"}
	}
	want, ok := lock[filepath.Base(path)]
	if !ok {
		return "", &IntegrityError{CodeNotLocked, path, fmt.Sprintf("%s does not name it", l.path),
			"if you trust it, add it with `bridge plugins lock`"}
	}
	got, err := Checksum(path)
	if err != nil {
		return "", &IntegrityError{CodeChanged, path, err.Error(), "make it readable"}
	}
	if got != want {
		return "", &IntegrityError{CodeChanged, path, fmt.Sprintf("its sha256 is %s, and %s demands %s", got, l.path, want),
			"put back the file that was locked, or, if you trust this one, run `bridge plugins lock`"}
	}
	return want, nil
}
