package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Environment is where ${env:…} and ${file:…} look.
type Environment struct {
	// Lookup finds a variable; nil means the process's environment.
	Lookup func(name string) (string, bool)
	// NoSecrets leaves files and variables alone: each expands to a
	// placeholder, and a missing one is no finding.
	NoSecrets bool
}

func (e Environment) lookup(name string) (string, bool) {
	if e.Lookup != nil {
		return e.Lookup(name)
	}
	return os.LookupEnv(name)
}

// expansion replaces references in a document's texts:
//
//	${env:NAME}            the variable; it must be set
//	${env:NAME:-default}   the variable, or the text behind :- if it is not set or empty
//	${file:path}           the file without its last line end; a relative path counts from the folder of the configuration file
//	$${                    the characters ${
type expansion struct {
	document    *document
	environment Environment
	// secrets are the pointers of values that hold something expanded: they are
	// never shown.
	secrets map[string]bool
	files   []string
}

// expand replaces the references in the document and returns the pointers of the
// values that had some, and the files that were named.
func (d *document) expand(environment Environment) (secrets map[string]bool, files []string) {
	x := &expansion{document: d, environment: environment, secrets: make(map[string]bool)}
	d.value = x.walk(d.value, "")
	slices.Sort(x.files)
	return x.secrets, slices.Compact(x.files)
}

func (x *expansion) walk(value any, path string) any {
	switch v := value.(type) {
	case map[string]any:
		// A value that an alias shares may be met twice; then it holds no
		// references any more.
		for key := range v {
			v[key] = x.walk(v[key], child(path, key))
		}
	case []any:
		for i := range v {
			v[i] = x.walk(v[i], child(path, i))
		}
	case string:
		if strings.Contains(v, "${") {
			return x.text(v, path)
		}
	}
	return value
}

// text expands one text. An unquoted one that is a single reference becomes a
// number or a boolean if what it stands for is one.
func (x *expansion) text(text, path string) any {
	var b strings.Builder
	rest, expanded := text, false
	for {
		before, after, found := strings.Cut(rest, "${")
		if !found {
			b.WriteString(rest)
			break
		}
		if escaped, ok := strings.CutSuffix(before, "$"); ok {
			b.WriteString(escaped + "${")
			rest = after
			continue
		}
		b.WriteString(before)
		reference, behind, closed := strings.Cut(after, "}")
		if !closed {
			x.fail(path, "${ without }; write $${ for the characters themselves")
			return text
		}
		value, err := x.resolve(reference)
		if err != nil {
			x.fail(path, "%s", err)
			return text
		}
		b.WriteString(value)
		rest, expanded = behind, true
	}
	if !expanded {
		return b.String()
	}
	x.secrets[path] = true
	single := strings.HasPrefix(text, "${") && strings.Index(text, "}") == len(text)-1
	if single && x.document.unquoted[path] {
		return scalar(b.String())
	}
	return b.String()
}

func scalar(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	switch text {
	case "true":
		return true
	case "false":
		return false
	}
	return text
}

func (x *expansion) resolve(reference string) (string, error) {
	kind, name, _ := strings.Cut(reference, ":")
	switch kind {
	case "env":
		name, fallback, hasFallback := strings.Cut(name, ":-")
		if value, set := x.environment.lookup(name); set && (value != "" || !hasFallback) {
			return value, nil
		}
		switch {
		case hasFallback:
			return fallback, nil
		case x.environment.NoSecrets:
			return placeholder, nil
		}
		return "", fmt.Errorf("the environment variable %s is not set; set it, or write ${env:%s:-default}", name, name)
	case "file":
		return x.file(name)
	}
	return "", fmt.Errorf("${%s} is neither ${env:NAME} nor ${file:path}; write $${ for the characters themselves", reference)
}

// placeholder stands for a secret that was not looked up.
const placeholder = "placeholder"

func (x *expansion) file(name string) (string, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(x.document.file), path)
	}
	if x.environment.NoSecrets {
		return placeholder, nil
	}
	x.files = append(x.files, path)
	data, err := readBounded(path)
	if err != nil {
		return "", fmt.Errorf("the file %s named here: %w", name, err)
	}
	text := strings.TrimSuffix(string(data), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}

func (x *expansion) fail(path, format string, args ...any) {
	x.document.errorAt(x.document.positions[path], path, format, args...)
}
