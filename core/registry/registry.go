// Package registry finds the executable that serves an adapter: a file
// bridge-plugin-PLUGIN in the plugin folders, else the bridge itself, which
// serves the plugins bundled with it as `bridge plugin PLUGIN`.
//
// It executes nothing. A plugin is found by its name: an adapter NAME-MORE comes
// from the plugin NAME-MORE or, if there is no such plugin, NAME, unless it is
// bundled under another name or the file names the plugin.
package registry

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pushbridge/bridge/core"
)

// FilePrefix begins the file name of every plugin.
const FilePrefix = "bridge-plugin-"

// Plugin is a plugin bundled with the bridge.
type Plugin struct {
	Name     string
	Adapters []core.Adapter
}

// Executable says how to start what serves an adapter.
type Executable struct {
	// Plugin is the plugin's name.
	Plugin string
	// Path of the file to execute, and its arguments.
	Path string
	Args []string
	// Bundled says that the file is the bridge itself.
	Bundled bool
}

// String names the plugin, and its file if it has one of its own.
func (e Executable) String() string {
	if e.Bundled {
		return e.Plugin
	}
	return e.Plugin + " (" + e.Path + ")"
}

// Registry knows the plugin folders and the bundled plugins. It is immutable.
type Registry struct {
	folders []string
	self    string
	bundled []Plugin
}

// New returns a registry of folders, which need not exist, and of the plugins
// that the executable self serves when it is started as `self plugin NAME…`.
func New(folders []string, self string, bundled []Plugin) *Registry {
	return &Registry{folders: folders, self: self, bundled: bundled}
}

// Find returns the executable for an adapter; plugin is the plugin's name if the
// file says it, else "". A file in the plugin folders counts before a bundled
// plugin.
func (r *Registry) Find(adapter, plugin string) (Executable, error) {
	names := []string{plugin}
	if plugin == "" {
		names = r.candidates(adapter)
	}
	for _, name := range names {
		path, err := r.file(name)
		if err != nil {
			return Executable{}, err
		}
		if path != "" {
			return Executable{Plugin: name, Path: path}, nil
		}
	}
	for _, name := range names {
		if slices.ContainsFunc(r.bundled, func(p Plugin) bool { return p.Name == name }) {
			return r.Bundled(name), nil
		}
	}
	return Executable{}, r.unknown(adapter, plugin)
}

// Bundled is the bridge itself, serving the named plugins in one process.
func (r *Registry) Bundled(plugins ...string) Executable {
	return Executable{
		Plugin: strings.Join(plugins, "+"), Path: r.self,
		Args: append([]string{"plugin"}, plugins...), Bundled: true,
	}
}

// BundledAdapter returns the bundled plugin that serves an adapter, and the
// adapter itself; ok is false if none does.
func (r *Registry) BundledAdapter(name string) (plugin string, adapter core.Adapter, ok bool) {
	for _, p := range r.bundled {
		for _, a := range p.Adapters {
			if a.Describe().Name == name {
				return p.Name, a, true
			}
		}
	}
	return "", nil, false
}

// BundledPlugins are the plugins that the bridge brings with it.
func (r *Registry) BundledPlugins() []Plugin { return r.bundled }

// Files lists the plugins in the folders by name; of two files with one name the
// one in the earlier folder counts.
func (r *Registry) Files() map[string]string {
	files := make(map[string]string)
	for _, folder := range r.folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // a folder that is not there holds no plugins
		}
		for _, entry := range entries {
			name, isPlugin := strings.CutPrefix(entry.Name(), FilePrefix)
			if isPlugin && files[name] == "" {
				files[name] = filepath.Join(folder, entry.Name())
			}
		}
	}
	return files
}

// candidates are the plugins that may serve an adapter, likeliest first.
func (r *Registry) candidates(adapter string) []string {
	var names []string
	if plugin, _, ok := r.BundledAdapter(adapter); ok {
		names = append(names, plugin)
	}
	for name := adapter; ; {
		names = append(names, name)
		cut := strings.LastIndexByte(name, '-')
		if cut <= 0 {
			return names
		}
		name = name[:cut]
	}
}

// file looks for a plugin's file. One that others may change is refused, not
// passed over: it may have been put there.
func (r *Registry) file(plugin string) (string, error) {
	if plugin == "" || strings.ContainsRune(plugin, filepath.Separator) {
		return "", nil
	}
	for _, folder := range r.folders {
		path := filepath.Join(folder, FilePrefix+plugin)
		info, err := os.Stat(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = checkMode(info)
		}
		if err != nil {
			return "", fmt.Errorf("plugin %s: %w", path, err)
		}
		return path, nil
	}
	return "", nil
}

func checkMode(info os.FileInfo) error {
	mode := info.Mode()
	switch {
	case !mode.IsRegular():
		return errors.New("this is no regular file")
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("its group or others may write to it (mode %v): chmod go-w", mode.Perm())
	case mode&(os.ModeSetuid|os.ModeSetgid) != 0:
		return errors.New("it is setuid or setgid: chmod ug-s")
	case mode.Perm()&0o100 == 0:
		return errors.New("it is not executable: chmod u+x")
	}
	return nil
}

func (r *Registry) unknown(adapter, plugin string) error {
	if plugin != "" {
		return fmt.Errorf("no plugin %q: there is no %s%s in %s, and it is not bundled", plugin, FilePrefix, plugin, r.where())
	}
	return fmt.Errorf("unknown adapter %q; bundled are %s; for another, put its plugin into %s, or name it with the key plugin",
		adapter, strings.Join(r.bundledAdapters(), ", "), r.where())
}

func (r *Registry) where() string {
	if len(r.folders) == 0 {
		return "the plugin folders (there are none)"
	}
	return strings.Join(r.folders, ", ")
}

func (r *Registry) bundledAdapters() []string {
	var names []string
	for _, p := range r.bundled {
		for _, a := range p.Adapters {
			names = append(names, a.Describe().Name)
		}
	}
	return names
}
