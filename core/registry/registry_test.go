package registry_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/registry"
)

type adapter string

func (a adapter) Describe() core.Info                    { return core.Info{Name: string(a)} }
func (adapter) Validate(json.RawMessage) core.Validation { return core.Validation{} }
func (adapter) Open(context.Context, string, json.RawMessage, core.Host) (core.Instance, error) {
	return nil, nil
}

func TestFind(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	file := func(folder, plugin string, mode os.FileMode) string {
		path := filepath.Join(folder, registry.FilePrefix+plugin)
		if err := os.WriteFile(path, []byte("x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	mine := file(first, "mine", 0o755)
	file(second, "mine", 0o755)
	other := file(second, "mine-out", 0o755)
	chat := file(second, "chat", 0o755)
	file(first, "open", 0o777)
	file(first, "plain", 0o644)
	file(first, "setuid", 0o755|os.ModeSetuid)
	if err := os.Mkdir(filepath.Join(first, registry.FilePrefix+"folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := registry.New([]string{filepath.Join(first, "none"), first, second}, "/bin/bridge", []registry.Plugin{
		{Name: "push", Adapters: []core.Adapter{adapter("push-rest"), adapter("phoenix-socket")}},
		{Name: "chat", Adapters: []core.Adapter{adapter("chat")}},
	})
	bundled := registry.Executable{Plugin: "push", Path: "/bin/bridge", Args: []string{"plugin", "push"}, Bundled: true}
	for _, test := range []struct {
		adapter, plugin string
		want            registry.Executable
		fails           string
	}{
		{"mine", "", registry.Executable{Plugin: "mine", Path: mine}, ""},
		{"mine-in", "", registry.Executable{Plugin: "mine", Path: mine}, ""},
		{"mine-out", "", registry.Executable{Plugin: "mine-out", Path: other}, ""},
		{"whatever", "mine", registry.Executable{Plugin: "mine", Path: mine}, ""},
		{"push-rest", "", bundled, ""},
		{"phoenix-socket", "", bundled, ""},
		{"chat", "", registry.Executable{Plugin: "chat", Path: chat}, ""}, // a file counts before a bundled plugin
		{"pigeon", "", registry.Executable{}, `unknown adapter "pigeon"; bundled are chat, phoenix-socket, push-rest`},
		{"mine", "nowhere", registry.Executable{}, `no plugin "nowhere"`},
		{"x", "../mine", registry.Executable{}, `no plugin "../mine"`},
		{"open", "", registry.Executable{}, "chmod go-w"},
		{"plain", "", registry.Executable{}, "chmod u+x"},
		{"setuid", "", registry.Executable{}, "chmod ug-s"},
		{"folder", "", registry.Executable{}, "no regular file"},
	} {
		t.Run(test.adapter+" "+test.plugin, func(t *testing.T) {
			got, err := r.Find(test.adapter, test.plugin)
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("%+v, error %v, want %q", got, err, test.fails)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
	if files := r.Files(); files["mine"] != mine || files["chat"] != chat {
		t.Errorf("files %v", files)
	}
}
