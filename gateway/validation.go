package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

func indexed(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// compileModels reads the JSON schemas of an API. They may refer to one another as
// API Gateway has it, by the URL of the model, by #/definitions/NAME, or by
// #/components/schemas/NAME.
func compileModels(path string, models map[string]SchemaText) (map[string]*openapi3.Schema, error) {
	if len(models) == 0 {
		return nil, nil
	}
	doc := map[string]any{"openapi": "3.0.1", "info": map[string]any{"title": "models", "version": "1"}, "paths": map[string]any{}}
	schemas := map[string]any{}
	for name, m := range models {
		var v map[string]any
		if err := json.Unmarshal(m.JSON, &v); err != nil {
			return nil, at(path+".models."+name, "is not a JSON schema: %w", err)
		}
		if err := rewriteRefs(v, 0); err != nil {
			return nil, at(path+".models."+name, "%w", err)
		}
		definitions, _ := v["definitions"].(map[string]any)
		delete(v, "definitions")
		delete(v, "$schema")
		delete(v, "id")
		maps.Copy(schemas, definitions)
		schemas[name] = v
	}
	doc["components"] = map[string]any{"schemas": schemas}
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, at(path+".models", "%w", err)
	}
	loaded, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, at(path+".models", "%w", err)
	}
	out := make(map[string]*openapi3.Schema, len(models))
	for name := range models {
		ref := loaded.Components.Schemas[name]
		if ref == nil || ref.Value == nil {
			return nil, at(path+".models."+name, "is not a JSON schema")
		}
		out[name] = ref.Value
	}
	return out, nil
}

const refPrefix = "#/components/schemas/"

func rewriteRefs(v any, depth int) error {
	if depth > 64 {
		return errors.New("is nested too deeply")
	}
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			name := ref[strings.LastIndexByte(ref, '/')+1:]
			if name == "" {
				return fmt.Errorf("%q names no model", clip(ref))
			}
			v["$ref"] = refPrefix + name
		}
		for _, inner := range v {
			if err := rewriteRefs(inner, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range v {
			if err := rewriteRefs(inner, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (rt *route) compileValidation(path string, schemas map[string]*openapi3.Schema) error {
	for i, p := range rt.RequiredParameters {
		place, name, ok := requestParameter(p)
		if !ok {
			return at(indexed(path+".required_parameters", i), "%q is not method.request.{path,querystring,header}.NAME", clip(p))
		}
		rt.required = append(rt.required, requiredParameter{place, name})
	}
	for kind, model := range rt.RequestModels {
		s := schemas[model]
		if s == nil {
			return at(path+".request_models", "%s: the API has no model %q", kind, model)
		}
		if rt.models == nil {
			rt.models = map[string]*openapi3.Schema{}
		}
		rt.models[strings.ToLower(kind)] = s
	}
	return nil
}

// requestParameter reads method.request.PLACE.NAME.
func requestParameter(text string) (place, name string, ok bool) {
	rest, ok := strings.CutPrefix(text, "method.request.")
	if !ok {
		return "", "", false
	}
	place, name, ok = strings.Cut(rest, ".")
	name = strings.TrimPrefix(strings.TrimPrefix(name, "multivalueheader."), "multivaluequerystring.")
	return place, name, ok && name != "" && (place == "path" || place == "querystring" || place == "header")
}

// validate checks required parameters and the body, where the route asks for it.
func (c *call) validate() *refusal {
	rt := c.route
	if rt.ValidateParameters {
		var missing []string
		for _, p := range rt.required {
			if c.value(part{kind: kindOfPlace(p.place), name: p.name}) == "" {
				missing = append(missing, p.name)
			}
		}
		if len(missing) > 0 {
			message := "Missing required request parameters: [" + strings.Join(missing, ", ") + "]"
			return refuse("BAD_REQUEST_PARAMETERS").saying(message).spaced().because("Request Validation failed. " + message)
		}
	}
	if !rt.ValidateBody || len(rt.models) == 0 {
		return nil
	}
	kind, _, _ := strings.Cut(c.r.Header.Get("Content-Type"), ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	if kind == "" {
		kind = "application/json"
	}
	schema := rt.models[kind]
	if schema == nil {
		return nil // API Gateway validates the types that have a model
	}
	var v any
	err := json.Unmarshal(c.body, &v)
	if err == nil {
		err = schema.VisitJSON(v, openapi3.MultiErrors())
	}
	if err == nil {
		return nil
	}
	why := schemaErrors(err)
	f := refuse("BAD_REQUEST_BODY").spaced().because("Request body does not match model schema for content type " + kind + ": [" + why + "]")
	f.validation = "[" + why + "]"
	return f
}

// schemaErrors names what is wrong with a body, in at most a few hundred bytes and
// without the values, which may be secret.
func schemaErrors(err error) string {
	var list openapi3.MultiError
	if !errors.As(err, &list) {
		list = openapi3.MultiError{err}
	}
	var out []string
	for _, e := range list {
		text := "not valid JSON"
		if s, ok := errors.AsType[*openapi3.SchemaError](e); ok {
			text = strings.Join(s.JSONPointer(), ".") + " " + s.Reason
		}
		if out = append(out, strings.TrimSpace(clip(text))); len(out) == 8 {
			break
		}
	}
	return strings.Join(out, ", ")
}

func kindOfPlace(place string) variableKind {
	switch place {
	case "path":
		return pathVariable
	case "querystring":
		return queryVariable
	case "header":
		return headerVariable
	}
	return noVariable
}
