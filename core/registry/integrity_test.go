package registry_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/registry"
)

// pluginFile writes a plugin that leaves a mark when it is executed.
func pluginFile(t *testing.T, folder, plugin string) (path string) {
	t.Helper()
	path = filepath.Join(folder, registry.FilePrefix+plugin)
	text := "#!/bin/sh\n: >" + path + ".ran\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := os.Stat(path + ".ran"); err == nil {
			t.Errorf("%s was executed", path)
		}
	})
	return path
}

func sumOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// plugins is a folder that nobody else may change.
func plugins(t *testing.T) string {
	folder := filepath.Join(t.TempDir(), "plugins")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	return folder
}

func wantCode(t *testing.T, err error, code, says string) {
	t.Helper()
	var refused *registry.IntegrityError
	if !errors.As(err, &refused) || refused.Code != code || !strings.Contains(err.Error(), says) {
		t.Errorf("error %v, want %s with %q", err, code, says)
	}
}

func TestLockDecides(t *testing.T) {
	folder := plugins(t)
	mine, other := pluginFile(t, folder, "mine"), pluginFile(t, folder, "other")
	lock := filepath.Join(t.TempDir(), "plugins.lock")
	open := registry.New([]string{folder}, "/bin/bridge", []registry.Plugin{{Name: "inside", Adapters: []core.Adapter{adapter("inside")}}})

	// Without a lock, and with one that may be missing, nothing is demanded.
	for _, r := range []*registry.Registry{open, open.WithLock(lock, false)} {
		if e, err := r.Find("mine", ""); err != nil || e.SHA256 != "" {
			t.Errorf("%+v, %v", e, err)
		}
	}
	r := open.WithLock(lock, true)
	_, err := r.Find("mine", "")
	wantCode(t, err, registry.CodeLock, "bridge plugins lock")

	if err := (registry.Lock{filepath.Base(mine): sumOf(t, mine)}).Write(lock); err != nil {
		t.Fatal(err)
	}
	if e, err := r.Find("mine", ""); err != nil || e.SHA256 != sumOf(t, mine) || e.Path != mine {
		t.Errorf("%+v, %v", e, err)
	}
	_, err = r.Find("other", "")
	wantCode(t, err, registry.CodeNotLocked, "bridge plugins lock")
	if e, err := r.Locate("other", ""); err != nil || e.Path != other {
		t.Errorf("%+v, %v", e, err)
	}
	if e, err := r.Find("inside", ""); err != nil || !e.Bundled || e.SHA256 != "" {
		t.Errorf("a bundled adapter needs no lock: %+v, %v", e, err)
	}

	// A changed file is refused; the other plugin of the lock is not.
	locked := registry.Lock{filepath.Base(mine): sumOf(t, mine), filepath.Base(other): sumOf(t, other)}
	if err := locked.Write(lock); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, []byte("something else"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = r.Find("mine", "")
	wantCode(t, err, registry.CodeChanged, "put back the file")
	if _, err := r.Find("other", ""); err != nil {
		t.Error(err)
	}

	if err := os.WriteFile(lock, []byte("rubbish\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = r.Find("other", "")
	wantCode(t, err, registry.CodeLock, lock+":1: want a sha256 sum")
}

// A file that others could exchange is as bad as one that they could change,
// also if a link hides where it is.
func TestFolderThatOthersMayWriteTo(t *testing.T) {
	folder, tidy := plugins(t), plugins(t)
	path := pluginFile(t, folder, "mine")
	if err := os.Symlink(path, filepath.Join(tidy, registry.FilePrefix+"linked")); err != nil {
		t.Fatal(err)
	}
	r := registry.New([]string{folder, tidy}, "/bin/bridge", nil)
	for _, plugin := range []string{"mine", "linked"} {
		if _, err := r.Find(plugin, ""); err != nil {
			t.Error(err)
		}
	}
	if err := os.Chmod(folder, 0o770); err != nil {
		t.Fatal(err)
	}
	for _, plugin := range []string{"mine", "linked"} {
		_, err := r.Find(plugin, "")
		wantCode(t, err, registry.CodePermissions, "chmod go-w the folder")
	}
}

func TestLockText(t *testing.T) {
	a, b := strings.Repeat("a1", 32), strings.Repeat("b2", 32)
	for _, test := range []struct {
		text string
		want registry.Lock
		says string
	}{
		{"", registry.Lock{}, ""},
		{"# why\n\n" + a + "  bridge-plugin-x\n" + strings.ToUpper(b) + " *bridge-plugin-y", registry.Lock{"bridge-plugin-x": a, "bridge-plugin-y": b}, ""},
		{a + "  bridge-plugin-x\n" + b + "  bridge-plugin-x\n", nil, "2: bridge-plugin-x is locked on an earlier line already"},
		{"abc  bridge-plugin-x\n", nil, "1: want a sha256 sum"},
		{a + "\n", nil, `1: "" is no file name of a plugin`},
		{a + "  plugins/bridge-plugin-x\n", nil, "no file name of a plugin"},
		{a + "  bridge-plugin-../x\n", nil, "no file name of a plugin"},
	} {
		lock, err := registry.ParseLock([]byte(test.text))
		if diff := cmp.Diff(test.want, lock); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
		if (test.says == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: error %v, want %q", test.text, err, test.says)
		}
		if test.want != nil {
			if again, err := registry.ParseLock(test.want.Text()); err != nil || !cmp.Equal(again, test.want) {
				t.Errorf("what is written reads as %v, %v", again, err)
			}
		}
	}
	if _, err := registry.ReadLock(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// The lock's file is one that sha256sum can check.
func TestLockIsForSha256sumToo(t *testing.T) {
	program, err := exec.LookPath("sha256sum")
	if err != nil {
		t.Skip("there is no sha256sum")
	}
	folder := plugins(t)
	path := pluginFile(t, folder, "mine")
	sum, err := registry.Checksum(path)
	if err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(t.TempDir(), "plugins.lock")
	if err := (registry.Lock{filepath.Base(path): sum}).Write(lock); err != nil {
		t.Fatal(err)
	}
	check := exec.Command(program, "--check", "--strict", lock)
	check.Dir = folder
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
