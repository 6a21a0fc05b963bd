package config

import (
	"encoding/json"
	"errors"
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
	RuntimeDir   string            `json:"runtime_dir,omitempty" jsonschema_description:"Folder for sockets, short and on a local disk; RUNTIME_DIRECTORY or the folder for temporary files if it is left out."`
	DrainTimeout settings.Duration `json:"drain_timeout" jsonschema:"default=10s" jsonschema_description:"How long stopping may take: what is under way is finished, listeners are sent away."`
	Log          Log               `json:"log,omitempty"`
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
	}
	return bridge
}

func (b *Bridge) resolve(folder string) {
	if b.ConfDir == "" {
		b.ConfDir = "conf.d"
	}
	b.ConfDir = beside(folder, b.ConfDir)
	for i := range b.PluginDirs {
		b.PluginDirs[i] = beside(folder, b.PluginDirs[i])
	}
	if b.RuntimeDir != "" {
		b.RuntimeDir = beside(folder, b.RuntimeDir)
	}
}

func beside(folder, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(folder, path)
}
