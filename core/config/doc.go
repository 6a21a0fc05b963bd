// Package config reads bridge.yaml and the files of conf.d, strictly: an unknown
// key, a wrong type, a value out of range is a [Finding] with file, line, column
// and, where it helps, a suggestion, and a file's findings come all at once.
//
// The way of a file: [ReadRoute] reads it (folder.go says which files count),
// parses it into a document of values and positions (yaml.go, json.go, toml.go),
// expands ${env:…} and ${file:…} in its values, never in its text (expand.go),
// checks it against the schema of [Route] (schema.go) and decodes it. The
// adapters' own configurations stay as they are, for whoever knows the adapters:
// [RouteFile.CheckConfig] holds one against an adapter's schema, and
// [RouteFile.Locate] turns an adapter's findings into positions.
//
// Nothing here starts, listens or writes.
package config
