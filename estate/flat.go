package estate

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// valueAtMost bounds a value of a Change, in bytes.
const valueAtMost = 1024

// flat is a thing as fields and values: "throttle.rate" is "100".
func flat(v any) map[string]string {
	out := map[string]string{}
	text, err := json.Marshal(v)
	if err != nil {
		return out // the types are plain, and never fail
	}
	var tree any
	if json.Unmarshal(text, &tree) == nil {
		flatten("", tree, out)
	}
	return out
}

func flatten(at string, v any, out map[string]string) {
	join := func(name string) string {
		if at == "" {
			return name
		}
		return at + "." + name
	}
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			flatten(join(name), inner, out)
		}
		return
	case []any:
		if keys, ok := listKeys(v); ok {
			for i, inner := range v {
				flatten(join(keys[i]), inner, out)
			}
			return
		}
	case string:
		out[at] = cut(v)
		return
	case nil:
		return
	}
	if text, err := json.Marshal(v); err == nil {
		out[at] = cut(string(text))
	}
}

// listKeys names the entries of a list of objects by what AWS tells them apart with,
// and reports whether that can be done.
func listKeys(list []any) ([]string, bool) {
	keys := make([]string, 0, len(list))
	taken := map[string]bool{}
	for _, v := range list {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		key := listKey(o)
		if key == "" || taken[key] {
			return nil, false
		}
		taken[key] = true
		keys = append(keys, "["+key+"]")
	}
	return keys, len(keys) > 0
}

func listKey(o map[string]any) string {
	for _, name := range []string{"id", "arn"} {
		if text, ok := o[name].(string); ok && text != "" {
			return text
		}
	}
	var parts []string
	for _, name := range []string{"api_id", "stage", "method", "path", "name", "type"} {
		if text, ok := o[name].(string); ok && text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

// cut bounds a value without breaking a character.
func cut(s string) string {
	if len(s) <= valueAtMost {
		return s
	}
	end := valueAtMost
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}
