// Package settings makes a Go struct the one place where an adapter's
// configuration is described: its fields with their json, jsonschema and
// jsonschema_description tags become the JSON Schema of core.Info ([Schema]),
// and [Decode] reads a configuration into it, with the defaults of the same
// tags.
//
// The bridge checks a configuration against the schema before an adapter sees
// it, with positions and suggestions; what a schema cannot say an adapter checks
// in Validate and collects in a [Report].
//
// Tags, by example:
//
//	Path string `json:"path" jsonschema:"default=/" jsonschema_description:"Path of the endpoint."`
//	Realm string `json:"realm" jsonschema:"required,minLength=1"`
//	Limit settings.Size `json:"limit" jsonschema_extras:"default=1MiB"`
//
// An object that is left out is filled with its defaults too, unless one of its
// properties is required: then it stays left out.
package settings
