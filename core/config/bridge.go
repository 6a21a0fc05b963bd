package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/pushbridge/bridge/core"
	"github.com/pushbridge/bridge/core/kit/settings"
)

// Bridge is bridge.yaml: what concerns the bridge as a whole. Everything in it
// is optional, and so is the file.
type Bridge struct {
	Node         string            `json:"node,omitempty" jsonschema_description:"Name of this node in logs; the host's name if it is left out."`
	ConfDir      string            `json:"conf_dir,omitempty" jsonschema_description:"Folder of the route files; conf.d beside this file if it is left out."`
	PluginDirs   []string          `json:"plugin_dirs,omitempty" jsonschema_description:"Folders of plugins (bridge-plugin-NAME); the folder plugins beside the bridge executable if it is left out."`
	PluginsLock  string            `json:"plugins_lock,omitempty" jsonschema_description:"File that pins the checksums of plugins (bridge plugins lock writes it); plugins.lock beside this file, if there is one, if it is left out."`
	RuntimeDir   string            `json:"runtime_dir,omitempty" jsonschema_description:"Folder for sockets, short and on a local disk; RUNTIME_DIRECTORY or the folder for temporary files if it is left out. The commands that talk to a running bridge look there too."`
	Admin        string            `json:"admin,omitempty" jsonschema:"pattern=^(.*:[0-9]+|unix:.+)$,example=127.0.0.1:7070,example=unix:/run/bridge/admin.sock" jsonschema_description:"Address of /healthz, /readyz and /metrics; none if it is left out. Whoever reaches it can read them."`
	DrainTimeout settings.Duration `json:"drain_timeout" jsonschema:"default=10s" jsonschema_description:"How long stopping the bridge may take: what is under way is finished, listeners are sent away."`
	DrainTime    settings.Duration `json:"drain_time" jsonschema:"default=10s" jsonschema_description:"How long what a changed or removed file replaces may take to finish and to send its listeners away, spread over that time."`
	Supervision  Supervision       `json:"supervision,omitempty" jsonschema_description:"How processes that fail are started again."`
	Log          Log               `json:"log,omitempty"`

	folder string // of bridge.yaml
}

// Supervision says how processes that fail are started again.
type Supervision struct {
	FirstDelay   settings.Duration `json:"first_delay" jsonschema:"default=250ms" jsonschema_description:"Time before the first restart; it doubles with each, with some jitter."`
	MaxDelay     settings.Duration `json:"max_delay" jsonschema:"default=30s" jsonschema_description:"Longest time before a restart."`
	Healthy      settings.Duration `json:"healthy" jsonschema:"default=1m" jsonschema_description:"Time without a failure after which earlier ones are forgotten."`
	GiveUp       int               `json:"give_up" jsonschema:"minimum=1,default=15" jsonschema_description:"Failures after which a process is not started any more, until its file changes or bridge plugins restart asks for it."`
	RefuseAfter  settings.Duration `json:"refuse_after" jsonschema:"default=5s" jsonschema_description:"Delay from which on clients are not left waiting for the restart but have their connections closed."`
	StartTimeout settings.Duration `json:"start_timeout" jsonschema:"default=15s" jsonschema_description:"How long a process may take to start, and an instance to open."`
	CheckEvery   settings.Duration `json:"check_every" jsonschema:"default=5s" jsonschema_description:"Time between two checks of an instance, and what one may take; two in a row without an answer end its process."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `json:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error,default=info"`
	Format string `json:"format" jsonschema:"enum=text,enum=json,default=text"`
}

// BridgeSchema is the JSON Schema of bridge.yaml.
func BridgeSchema() json.RawMessage { return settings.Schema[Bridge]() }

// ReadBridge reads bridge.yaml. A file that does not exist is the same as an
// empty one unless required. Relative folders in it count from its own folder.
func ReadBridge(path string, required bool, environment Environment) (Bridge, Findings) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) && !required {
		bridge, err := settings.Decode[Bridge](nil)
		if err != nil {
			return bridge, Findings{{File: path, Severity: core.SeverityError, Message: err.Error()}}
		}
		bridge.resolve(filepath.Dir(path))
		return bridge, nil
	}
	d, _ := readDocument(path)
	d.expand(environment)
	var bridge Bridge
	if d.value != nil {
		bridge = decodeBridge(d)
		bridge.resolve(filepath.Dir(path))
	}
	d.findings.Sort()
	return bridge, d.findings
}

func decodeBridge(d *document) Bridge {
	violations, err := checkSchema(BridgeSchema(), d.value)
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
	}
	for _, v := range violations {
		d.findings = append(d.findings, d.locate(core.SeverityError, v.path, v.message))
	}
	if d.findings.Failed() {
		return Bridge{}
	}
	encoded, err := json.Marshal(d.value)
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
		return Bridge{}
	}
	bridge, err := settings.Decode[Bridge](encoded)
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
		return bridge
	}
	bridge.checkSupervision(d)
	return bridge
}

// checkSupervision checks what the schema cannot say of times.
func (b *Bridge) checkSupervision(d *document) {
	s := &b.Supervision
	for _, t := range []struct {
		key   string
		value settings.Duration
	}{
		{"first_delay", s.FirstDelay}, {"max_delay", s.MaxDelay}, {"healthy", s.Healthy}, {"refuse_after", s.RefuseAfter},
		{"start_timeout", s.StartTimeout}, {"check_every", s.CheckEvery},
	} {
		if t.value <= 0 {
			d.findings = append(d.findings, d.locate(core.SeverityError, "/supervision/"+t.key, "must be more than 0"))
		}
	}
	if s.MaxDelay < s.FirstDelay {
		d.findings = append(d.findings, d.locate(core.SeverityError, "/supervision/max_delay",
			fmt.Sprintf("must be at least first_delay, which is %s", s.FirstDelay.Std())))
	}
}

// Lock is where the lock of the plugins is, and whether there must be one: the
// settings name it.
func (b *Bridge) Lock() (path string, required bool) {
	if b.PluginsLock != "" {
		return b.PluginsLock, true
	}
	return filepath.Join(b.folder, "plugins.lock"), false
}

func (b *Bridge) resolve(folder string) {
	b.folder = folder
	if b.ConfDir == "" {
		b.ConfDir = "conf.d"
	}
	b.ConfDir = beside(folder, b.ConfDir)
	for i := range b.PluginDirs {
		b.PluginDirs[i] = beside(folder, b.PluginDirs[i])
	}
	for _, path := range []*string{&b.RuntimeDir, &b.PluginsLock} {
		if *path != "" {
			*path = beside(folder, *path)
		}
	}
}

func beside(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
