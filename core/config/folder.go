package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pushbridge/bridge/core"
)

// Extensions of files that count in conf.d.
var extensions = []string{".yaml", ".yml", ".toml", ".json"}

// RouteFiles lists the files of a conf.d folder that are routes, in order of
// name: regular files, or links to some, with a known extension; not hidden
// ones, not what editors leave behind. A folder that does not exist is an error.
func RouteFiles(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("folder of routes: %w", err)
	}
	var files []string
	for _, entry := range entries {
		if isRouteName(entry.Name()) {
			files = append(files, filepath.Join(folder, entry.Name()))
		}
	}
	return files, nil
}

// isRouteName tells by its name whether an entry of conf.d counts.
func isRouteName(name string) bool {
	return !strings.HasPrefix(name, ".") && !strings.HasPrefix(name, "#") &&
		slices.Contains(extensions, filepath.Ext(name))
}

// ReadFolder reads every route of a folder. Of two files that make the same
// route, or name the same instance, the later one gets an error.
func ReadFolder(folder string, environment Environment) ([]*RouteFile, error) {
	paths, err := RouteFiles(folder)
	if err != nil {
		return nil, err
	}
	files := make([]*RouteFile, len(paths))
	for i, path := range paths {
		files[i] = ReadRoute(path, environment)
	}
	CheckTogether(files)
	return files, nil
}

// CheckTogether adds findings about what files have in common: names taken
// twice are errors of the later file, names used and not defined are warnings.
func CheckTogether(files []*RouteFile) {
	routes := make(map[string]*RouteFile)
	instances := make(map[string]*RouteFile)
	for _, f := range files {
		if first, taken := routes[f.Name]; taken {
			f.add(core.SeverityError, "", fmt.Sprintf("route %q is defined by %s already; rename this file", f.Name, first.Path))
			continue
		}
		routes[f.Name] = f
		f.instances(func(path string, i *Instance) {
			if i.Name == "" {
				return
			}
			if first, taken := instances[i.Name]; taken && first != f {
				f.add(core.SeverityError, path+"/name", fmt.Sprintf("instance %q is defined by %s already; give this one another name", i.Name, first.Path))
				return
			}
			instances[i.Name] = f
		})
	}
	for _, f := range files {
		f.instances(func(path string, i *Instance) {
			if i.Use != "" && instances[i.Use] == nil {
				f.add(core.SeverityWarning, path+"/use", fmt.Sprintf("no file defines an instance %q; until one does, events to it are refused", i.Use))
			}
		})
		f.Findings.Sort()
	}
}

// instances visits the instances with their paths, in file order.
func (f *RouteFile) instances(visit func(path string, i *Instance)) {
	for n := range f.Route.Inbound {
		visit(f.InboundPath(n), &f.Route.Inbound[n].Instance)
	}
	for n := range f.Route.Outbound {
		visit(f.OutboundPath(n), &f.Route.Outbound[n].Instance)
	}
}

func (f *RouteFile) add(severity core.Severity, path, message string) {
	f.Findings = append(f.Findings, f.Locate(severity, path, message))
}

// ErrNoRoutes says that a folder holds no file that counts.
var ErrNoRoutes = errors.New("no *.yaml, *.yml, *.toml or *.json file in the folder of routes")
