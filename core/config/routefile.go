package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pushbridge/bridge/core"
)

// RouteFile is a file of conf.d as it was read. If Findings has an error, Route
// holds what could be understood and must not be run.
type RouteFile struct {
	Path string
	// Name is the route's name: the file's, without leading digits and
	// extension.
	Name  string
	Route Route
	// Hash covers the file and the files that it names in ${file:…}.
	Hash [sha256.Size]byte
	// Files are those named in ${file:…}, to be watched with it.
	Files    []string
	Findings Findings

	document *document
	secrets  map[string]bool
	lists    struct{ inbound, outbound bool } // written as a list, not as one
}

// ReadRoute reads a file of conf.d. It reports everything wrong with it that can
// be told without its adapters.
func ReadRoute(path string, environment Environment) *RouteFile {
	f := &RouteFile{Path: path, Name: routeName(path)}
	d, data := readDocument(path)
	f.document = d
	f.secrets, f.Files = d.expand(environment)
	f.Hash = contentHash(data, f.Files)
	if d.value != nil {
		f.decode()
	}
	f.Findings = d.findings
	f.Findings.Sort()
	return f
}

var leadingDigits = regexp.MustCompile(`^[0-9]+[-_.]?`)

func routeName(path string) string {
	stem := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if name := leadingDigits.ReplaceAllString(stem, ""); name != "" {
		return name
	}
	return stem
}

// contentHash changes when one of the contents does.
func contentHash(data []byte, files []string) [sha256.Size]byte {
	hash := sha256.New()
	hash.Write(data)
	for _, file := range files {
		content, err := readBounded(file)
		fmt.Fprintf(hash, "\x00%s\x00%v\x00%x", file, err, sha256.Sum256(content))
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

// decode checks the document against the schema and reads it into Route.
func (f *RouteFile) decode() {
	d := f.document
	compiled, err := compiledRouteSchema()
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
		return
	}
	violations, err := check(compiled, RouteSchema(), d.value)
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
		return
	}
	for _, v := range violations {
		d.findings = append(d.findings, d.locate(core.SeverityError, v.path, v.message))
	}
	if len(violations) > 0 {
		return
	}
	encoded, err := json.Marshal(d.value)
	if err == nil {
		err = json.Unmarshal(encoded, &f.Route)
	}
	if err != nil {
		d.errorAt(Position{}, "", "%s", err)
		return
	}
	object := d.value.(map[string]any)
	_, f.lists.inbound = object["inbound"].([]any)
	_, f.lists.outbound = object["outbound"].([]any)
	f.Route.name(f.Name)
	f.checkInstances()
}

// checkInstances checks what the schema cannot say.
func (f *RouteFile) checkInstances() {
	names := make(map[string]bool)
	check := func(path string, i *Instance) {
		report := func(part, format string, args ...any) {
			f.document.findings = append(f.document.findings,
				f.document.locate(core.SeverityError, path+part, fmt.Sprintf(format, args...)))
		}
		switch {
		case i.Adapter == "" && i.Use == "":
			report("", `needs an adapter, or use: with the name of an instance of another file`)
		case i.Adapter != "" && i.Use != "":
			report("/use", `"adapter" and "use" exclude each other`)
		case i.Use != "" && (i.Config != nil || i.Name != "" || i.Process != "" || i.Isolation != "" || i.MTLS || i.Env != nil || i.Plugin != ""):
			report("/use", `the instance %q is configured in its own file; beside "use" only the edge's keys may stand here`, i.Use)
		}
		if i.Name != "" && names[i.Name] {
			report("/name", "two instances of this file are named %q", i.Name)
		}
		names[i.Name] = true
		if i.Isolation == "none" && i.Process != "" {
			report("/process", "an instance with isolation: none has no process")
		}
	}
	for n := range f.Route.Inbound {
		check(f.InboundPath(n), &f.Route.Inbound[n].Instance)
	}
	for n := range f.Route.Outbound {
		outbound := &f.Route.Outbound[n]
		check(f.OutboundPath(n), &outbound.Instance)
		if outbound.Retry == nil {
			continue
		}
		if key, wrong := outbound.Retry.check(); wrong != "" {
			f.document.findings = append(f.document.findings,
				f.document.locate(core.SeverityError, f.OutboundPath(n)+"/retry"+key, wrong))
		}
	}
}

// InboundPath is the JSON pointer of the nth inbound in the file.
func (f *RouteFile) InboundPath(n int) string { return entryPath("/inbound", n, f.lists.inbound) }

// OutboundPath is the JSON pointer of the nth outbound in the file.
func (f *RouteFile) OutboundPath(n int) string { return entryPath("/outbound", n, f.lists.outbound) }

func entryPath(path string, n int, list bool) string {
	if list {
		return child(path, n)
	}
	return path
}

// Locate makes a finding about the value that path, a JSON pointer into the
// file, leads to.
func (f *RouteFile) Locate(severity core.Severity, path, message string) Finding {
	return f.document.locate(severity, path, message)
}

// CheckConfig holds an instance's configuration against its adapter's schema.
// path is the instance's, of InboundPath or OutboundPath. sound is the
// configuration without the values at fault, so that the adapter can be asked
// about the rest; it is nil if nothing can be made of it.
func (f *RouteFile) CheckConfig(path string, i *Instance, schema json.RawMessage) (findings Findings, sound json.RawMessage) {
	var config any = map[string]any{}
	if i.Config != nil {
		config = i.Config
	}
	violations, err := checkSchema(schema, config)
	if err != nil {
		return Findings{f.Locate(core.SeverityError, path+"/adapter", fmt.Sprintf("the adapter %s has no usable schema: %s", i.Adapter, err))}, nil
	}
	faulty := make(map[string]bool)
	for _, v := range violations {
		faulty[v.about] = true
		finding := f.Locate(core.SeverityError, path+"/config"+v.path, v.message)
		finding.Path = path + "/config" + v.about
		findings = append(findings, finding)
	}
	if faulty[""] {
		return findings, nil
	}
	sound, err = json.Marshal(without(config, "", faulty))
	if err != nil {
		return append(findings, f.Locate(core.SeverityError, path+"/config", err.Error())), nil
	}
	return findings, sound
}

// without copies a value and leaves out what is at a faulty pointer.
func without(value any, path string, faulty map[string]bool) any {
	switch v := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, entry := range v {
			if !faulty[child(path, key)] {
				object[key] = without(entry, child(path, key), faulty)
			}
		}
		return object
	case []any:
		list := make([]any, 0, len(v))
		for i, entry := range v {
			if !faulty[child(path, i)] {
				list = append(list, without(entry, child(path, i), faulty))
			}
		}
		return list
	}
	return value
}

// ConfigJSON is an instance's configuration as its adapter gets it.
func (i *Instance) ConfigJSON() (json.RawMessage, error) {
	if i.Config == nil {
		return json.RawMessage(`{}`), nil
	}
	return json.Marshal(i.Config)
}
