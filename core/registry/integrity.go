package registry

import (
	"fmt"
	"os"
	"path/filepath"
)

// Reasons for which a file is not executed: the values of [IntegrityError.Code].
const (
	CodePermissions = "plugin_permissions" // others could change it, or it is no plain executable
	CodeNotLocked   = "plugin_not_locked"  // there is a lock, and it does not name the file
	CodeChanged     = "plugin_changed"     // its checksum is not the one in the lock
	CodeLock        = "lock_unusable"      // the lock itself cannot be used
)

// IntegrityError refuses to execute a file. It concerns those routes alone that
// name the plugin.
type IntegrityError struct {
	Code string
	// Path of the executable.
	Path string
	// Problem says what is wrong with it, Next what to do.
	Problem, Next string
}

// Error says which file, why, and what to do.
func (e *IntegrityError) Error() string {
	return fmt.Sprintf("%s is not executed: %s; %s (%s)", e.Path, e.Problem, e.Next, e.Code)
}

// checkPermissions refuses a file that its group or others may change or
// exchange, and one that is no plain executable.
func checkPermissions(path string) error {
	refuse := func(problem, next string) error {
		return &IntegrityError{Code: CodePermissions, Path: path, Problem: problem, Next: next}
	}
	info, err := os.Stat(path)
	if err != nil {
		return refuse(fmt.Sprintf("it cannot be looked at: %s", err), "repair or remove it")
	}
	mode := info.Mode()
	switch {
	case !mode.IsRegular():
		return refuse("it is no regular file", "remove it")
	case mode.Perm()&0o022 != 0:
		return refuse(fmt.Sprintf("its group or others may write to it (mode %v)", mode.Perm()), "chmod go-w it, if you trust what is in it")
	case mode&(os.ModeSetuid|os.ModeSetgid) != 0:
		return refuse("it is setuid or setgid", "chmod ug-s it")
	case mode.Perm()&0o100 == 0:
		return refuse("it is not executable", "chmod u+x it")
	}
	folders, err := foldersOf(path)
	if err != nil {
		return refuse(err.Error(), "repair or remove it")
	}
	for _, folder := range folders {
		info, err := os.Stat(folder)
		if err != nil {
			return refuse(err.Error(), "repair or remove it")
		}
		if info.Mode().Perm()&0o022 != 0 {
			return refuse(fmt.Sprintf("its folder %s lets its group or others exchange it (mode %v)", folder, info.Mode().Perm()),
				"chmod go-w the folder, if you trust what is in it")
		}
	}
	return nil
}

// foldersOf are the folder of a path and, if a link leads on from there, that of
// the file itself.
func foldersOf(path string) ([]string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	return []string{filepath.Dir(path), filepath.Dir(target)}, nil
}
