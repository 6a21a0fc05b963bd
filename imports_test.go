package bridge_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/pushbridge/bridge/"

// mayImport says, for each part of the tree, what of the tree it may import:
// folder names, a trailing slash meaning everything below. Imports point one way;
// who adds an entry has changed the architecture and says so in ARCHITECTURE.md.
var mayImport = []struct {
	part    string
	imports []string
}{
	{"core/kit/", []string{"core", "core/kit/"}},
	{"core/frame", []string{"core"}},
	{"core/inflight", nil},
	{"core/bus", []string{"core", "core/frame"}},
	{"core/sockets", []string{"core"}},
	{"core/state", []string{"core"}},
	{"core/peers", nil},
	{"core/metrics", nil},
	{"core/services", []string{"core/peers", "core/state"}},
	{"core/mapping", []string{"core", "core/frame", "core/kit/payload"}},
	{"core/inprocess", []string{"core", "core/bus", "core/frame", "core/inflight", "core/metrics", "core/peers", "core/services"}},
	{"core/wire/bridgev1", nil},
	{"core/wire/", []string{"core", "core/bus", "core/frame", "core/inflight", "core/metrics", "core/peers", "core/services", "core/wire/"}},
	{"core/wire", []string{"core", "core/bus", "core/frame", "core/inflight", "core/metrics", "core/wire/"}},
	{"core/config", []string{"core", "core/kit/settings"}},
	{"core/registry", []string{"core"}},
	{"core/route", []string{"core", "core/bus", "core/config", "core/inprocess", "core/mapping", "core/metrics", "core/peers", "core/registry", "core/services", "core/sockets", "core/state", "core/wire/"}},
	{"core/admin", []string{"core", "core/metrics", "core/route"}},
	{"core/coretest", []string{"core", "core/bus", "core/frame", "core/inprocess", "core/peers", "core/services", "core/sockets", "core/state", "core/wire", "core/wire/"}},
	{"core", nil},
	{"adapters/", []string{"core", "core/kit/", "adapters/SELF/"}},
	{"plugins/", []string{"core", "core/kit/", "core/wire", "adapters/"}},
	{"cmd/", []string{"core", "core/", "adapters/"}},
	{"integration", []string{"core", "core/", "adapters/"}},
	{"integration/", []string{"core", "core/", "adapters/", "integration/SELF/"}},
}

// What only some parts of the tree may import from outside of it.
var only = map[string][]string{
	"github.com/hashicorp/go-plugin": {"core/wire"},
	"google.golang.org/grpc":         {"core/wire"},
	"cel.dev/cel-go":                 {"core/mapping"},
	"github.com/gammazero/nexus/v3":  {"adapters/wamp", "integration"},
	"github.com/coder/websocket":     {"adapters", "core/kit"},
	"github.com/spf13/cobra":         {"cmd/bridge"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		folder := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			if inside, ok := strings.CutPrefix(imported, module); ok {
				checkInside(t, folder, inside)
				continue
			}
			checkOutside(t, folder, imported)
		}
	}
}

func checkInside(t *testing.T, folder, imported string) {
	t.Helper()
	for _, rule := range mayImport {
		if !within(folder, rule.part) {
			continue
		}
		for _, allowed := range rule.imports {
			if parts := strings.Split(folder, "/"); len(parts) > 1 {
				allowed = strings.Replace(allowed, "SELF", parts[1], 1)
			}
			if within(imported, allowed) {
				return
			}
		}
		t.Errorf("%s imports %s", folder, imported)
		return
	}
	t.Errorf("%s has no rule here: say what it may import", folder)
}

func checkOutside(t *testing.T, folder, imported string) {
	t.Helper()
	for library, parts := range only {
		if imported != library && !strings.HasPrefix(imported, library+"/") {
			continue
		}
		allowed := false
		for _, part := range parts {
			allowed = allowed || folder == part || strings.HasPrefix(folder, part+"/")
		}
		if !allowed {
			t.Errorf("%s imports %s, which is for %v", folder, imported, parts)
		}
	}
	if folder == "core" && strings.Contains(strings.Split(imported, "/")[0], ".") &&
		imported != "github.com/prometheus/client_golang/prometheus" {
		t.Errorf("core imports %s: it is for the standard library and Prometheus's registerer alone", imported)
	}
}

// within reports whether a folder is part, or, if part ends in a slash, below it.
func within(folder, part string) bool {
	if below, ok := strings.CutSuffix(part, "/"); ok {
		return strings.HasPrefix(folder, below+"/")
	}
	return folder == part
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-tags", "integration", "-json=ImportPath,Imports,Standard", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var p goPackage
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.ImportPath != strings.TrimSuffix(module, "/") {
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages were found", len(all))
	}
	return all
}
