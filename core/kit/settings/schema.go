package settings

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/invopop/jsonschema"
)

// Schema returns the JSON Schema (2020-12) of T. A T that has none is a defect
// of the adapter and shows in the schema itself as {"not":{}}, which refuses
// every configuration.
func Schema[T any]() json.RawMessage {
	reflector := jsonschema.Reflector{
		Anonymous:                  true,
		DoNotReference:             true,
		ExpandedStruct:             true,
		RequiredFromJSONSchemaTags: true,
	}
	schema, err := json.Marshal(reflector.Reflect(new(T)))
	if err != nil {
		return json.RawMessage(`{"not":{}}`)
	}
	return schema
}

// Decode reads a configuration into a T, with the defaults of its tags where
// config says nothing. Unknown keys and wrong types are errors.
func Decode[T any](config json.RawMessage) (T, error) {
	var into T
	completed, err := complete(config, Schema[T]())
	if err != nil {
		return into, err
	}
	decoder := json.NewDecoder(bytes.NewReader(completed))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&into); err != nil {
		return into, fmt.Errorf("configuration: %w", err)
	}
	return into, nil
}

// complete fills in the schema's defaults.
func complete(config, schema json.RawMessage) (json.RawMessage, error) {
	if len(config) == 0 {
		config = json.RawMessage(`{}`)
	}
	value, err := decodeExact(config)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	rules, err := decodeExact(schema)
	if err != nil {
		return nil, fmt.Errorf("schema: %w", err)
	}
	completed, err := json.Marshal(fill(value, rules))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return completed, nil
}

// decodeExact decodes JSON and keeps numbers as they are written.
func decodeExact(data json.RawMessage) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	err := decoder.Decode(&value)
	return value, err
}

// fill returns value with the defaults that schema has for what is missing.
func fill(value, schema any) any {
	rules, _ := schema.(map[string]any)
	switch v := value.(type) {
	case map[string]any:
		properties, _ := rules["properties"].(map[string]any)
		for name, property := range properties {
			if present, ok := v[name]; ok {
				v[name] = fill(present, property)
			} else if missing, ok := absent(property); ok {
				v[name] = missing
			}
		}
		if entries, ok := rules["additionalProperties"].(map[string]any); ok {
			for name, entry := range v {
				if _, named := properties[name]; !named {
					v[name] = fill(entry, entries)
				}
			}
		}
	case []any:
		for i := range v {
			v[i] = fill(v[i], rules["items"])
		}
	}
	return value
}

// absent is what a property has that is left out: its default, or an object of
// defaults if nothing in it is required.
func absent(schema any) (any, bool) {
	rules, _ := schema.(map[string]any)
	if value, ok := rules["default"]; ok {
		return value, true
	}
	_, isObject := rules["properties"]
	_, needsMore := rules["required"]
	if !isObject || needsMore {
		return nil, false
	}
	filled := fill(map[string]any{}, schema).(map[string]any)
	return filled, len(filled) > 0
}
