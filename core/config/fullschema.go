package config

import (
	"encoding/json"
	"fmt"

	"github.com/pushbridge/bridge/core"
)

// FullSchema is the schema of a route file with the configurations of the given
// adapters in it, for editors: which one applies depends on "adapter".
func FullSchema(infos []core.Info) (json.RawMessage, error) {
	var document map[string]any
	if err := json.Unmarshal(RouteSchema(), &document); err != nil {
		return nil, fmt.Errorf("schema of route files: %w", err)
	}
	var sources, sinks []core.Info
	for _, info := range infos {
		if info.Source {
			sources = append(sources, info)
		}
		if info.Sink {
			sinks = append(sinks, info)
		}
	}
	properties, _ := document["properties"].(map[string]any)
	if err := addConfigs(properties["inbound"], sources); err != nil {
		return nil, err
	}
	if err := addConfigs(properties["outbound"], sinks); err != nil {
		return nil, err
	}
	return json.Marshal(document)
}

// addConfigs adds a condition for each adapter to both ways of writing an entry:
// alone, and in a list.
func addConfigs(entry any, infos []core.Info) error {
	rules, _ := entry.(map[string]any)
	alternatives, _ := rules["oneOf"].([]any)
	conditions := make([]any, 0, len(infos))
	for _, info := range infos {
		var config map[string]any
		if err := json.Unmarshal(info.Config, &config); err != nil {
			return fmt.Errorf("schema of %s: %w", info.Name, err)
		}
		delete(config, "$schema")
		conditions = append(conditions, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"adapter": map[string]any{"const": info.Name}}, "required": []any{"adapter"}},
			"then": map[string]any{"properties": map[string]any{"config": config}},
		})
	}
	for _, alternative := range alternatives {
		object, _ := alternative.(map[string]any)
		if items, isList := object["items"].(map[string]any); isList {
			object = items
		}
		object["allOf"] = conditions
	}
	return nil
}
