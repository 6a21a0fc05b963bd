// Package registry finds the executable that serves an adapter: a file
// bridge-plugin-PLUGIN in the plugin folders, else the bridge itself, which
// serves the plugins bundled with it as `bridge plugin PLUGIN`.
//
// It executes nothing. A plugin is found by its name: an adapter NAME-MORE comes
// from the plugin NAME-MORE or, if there is no such plugin, NAME, unless it is
// bundled under another name or the file names the plugin.
//
// It also says which files may be executed at all (integrity.go): none that its
// group or others may change and, if there is a lock (lock.go), none whose
// checksum is not the one in it. The bridge's own executable is not held against
// a lock: who could exchange it could exchange the check.
package registry

import (
	"errors"
	"fmt"
	"maps"
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

type bundledAdapter struct {
	plugin  string
	adapter core.Adapter
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
	// SHA256 is the checksum, in hex, that the file had when it was found and
	// that the lock demands; empty if there is no lock.
	SHA256 string
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
	// byAdapter has the bundled adapters by name. To describe one means to make its
	// schema, which is too much for a comparison of names.
	byAdapter map[string]bundledAdapter
	lock      lockFile
}

// New returns a registry of folders, which need not exist, and of the plugins
// that the executable self serves when it is started as `self plugin NAME…`.
func New(folders []string, self string, bundled []Plugin) *Registry {
	r := &Registry{folders: folders, self: self, bundled: bundled, byAdapter: make(map[string]bundledAdapter)}
	for _, p := range bundled {
		for _, a := range p.Adapters {
			r.byAdapter[a.Describe().Name] = bundledAdapter{p.Name, a}
		}
	}
	return r
}

// WithLock returns a registry that holds the files it finds against the lock at
// path. The lock is read each time, so that a new one counts from the next Find
// on. Unless required, a lock that is not there demands nothing.
func (r *Registry) WithLock(path string, required bool) *Registry {
	locked := *r
	locked.lock = lockFile{path: path, required: required}
	return &locked
}

// Find returns the executable for an adapter; plugin is the plugin's name if the
// file says it, else "". A file in the plugin folders counts before a bundled
// plugin. A file that must not be executed is an [IntegrityError].
func (r *Registry) Find(adapter, plugin string) (Executable, error) {
	e, err := r.Locate(adapter, plugin)
	if err != nil || e.Bundled {
		return e, err
	}
	e.SHA256, err = r.lock.demand(e.Path)
	if err != nil {
		return Executable{}, err
	}
	return e, nil
}

// Locate is Find without the lock: for those who make one.
func (r *Registry) Locate(adapter, plugin string) (Executable, error) {
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
	found, ok := r.byAdapter[name]
	return found.plugin, found.adapter, ok
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
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := checkPermissions(path); err != nil {
			return "", err
		}
		return path, nil
	}
	return "", nil
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

func (r *Registry) bundledAdapters() []string { return slices.Sorted(maps.Keys(r.byAdapter)) }
